/* The descriptor of main.db that the engine reads past SQLite. With the first descriptor of a file that a
 * process closes, the kernel drops all of its fcntl locks on it, SQLite's too: so there is one, and it stays
 * open for as long as SQLite has the file. (SQLite itself puts off its own closings; the log has no such
 * locks, they are in its index, main.db-shm.) Engine's thread. */
#ifndef ENGINE_MAIN_FILE_H
#define ENGINE_MAIN_FILE_H

struct engine;

/* For reading at offsets; -1 and errno. Not to be closed. */
int main_file(struct engine *eng);
/* When SQLite has closed the file. */
void main_file_release(struct engine *eng);

#endif
