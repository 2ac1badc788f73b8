/* Which addresses the server may connect to by itself: the guard against being sent to its own network by a
 * name or an address that a stranger chose. Judges the very address of the socket, so that no second look-up
 * of a name comes in between. Any thread. */
#ifndef HTTP_DESTINATION_H
#define HTTP_DESTINATION_H

#include "base/network.h"

enum destination { DESTINATION_PUBLIC, DESTINATION_PRIVATE, DESTINATION_NEVER };

/* IPv4 inside IPv6, mapped or behind NAT64, is judged as IPv4. */
enum destination destination_of(const struct network *address);

struct sockaddr;
/* The same for a socket's address; what is no internet address is DESTINATION_NEVER. */
enum destination destination_of_socket(const struct sockaddr *sa);

#endif
