/* What functions of the rules' SQL ask of this server's own services: shadows and the registry. */
#pragma once

#include "rules/outside.h"
#include "server/wire.h"

RuleOutside rule_data(Server *s);
