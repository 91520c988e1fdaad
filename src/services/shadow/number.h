/* Numbers by value, however they are written. */
#pragma once

#include "base/str.h"

/* Shape: two numbers as JSON writes them. Exact at every size: nothing is rounded. */
bool number_same(Str a, Str b);
