/* Policies that AWS manages and that roles for AWS IoT are commonly given: what their names stand for. Pure. */
#pragma once

#include "base/str.h"

/* The IAM document of arn:aws:iam::aws:policy/…; STR_NONE: not one of those that are here. */
Str managed_policy_document(Str arn);
Str managed_policy_arn(size_t i); /* of the i-th that is here; STR_NONE: there are no more */
