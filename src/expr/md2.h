/* MD2, which OpenSSL 3 does not have. Only for the languages that name it: it is long broken. */
#pragma once

#include "base/str.h"

void md2(Str bytes, uint8_t out[16]); /* Source: RFC 1319 */
