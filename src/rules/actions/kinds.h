/* Every kind of action, one a file of this folder. */
#pragma once

#include "rules/action.h"

extern const ActionKind ACTION_HTTP, ACTION_LAMBDA, ACTION_REPUBLISH;
