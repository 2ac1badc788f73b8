/* The numbered SQL files of migrations/, put into the binary by cmd/embed. Constant data, any thread. */
#ifndef SQLITE_MIGRATIONS_EMBEDDED_H
#define SQLITE_MIGRATIONS_EMBEDDED_H

struct migration_file {
    int number;       /* 1, 2, 3 … without a gap; 0 ends the array */
    const char *name; /* what follows the number in the file's name: "accounts" of 001_accounts.sql */
    const char *sql;
};

extern const struct migration_file migrations_control[];
extern const struct migration_file migrations_tenant[];

#endif
