/* What the files of this folder share. */
#ifndef TOKEN_TOKEN_INTERNAL_H
#define TOKEN_TOKEN_INTERNAL_H

#include "token/token.h"

/* The rules that need no database. */
MUST_CHECK enum err_code token_check_new(const struct token_new *in, struct err *err);

#endif
