/* What the operations on rules and on their destinations share. */
#pragma once

#include "generated/iot.h"
#include "generated/rules_records.h"
#include "rules/rules.h"

/* After the commit the rules engine reads the rule again. */
void topic_rule_changed(Call *c, Str rule_name);

/* What a rule's actions need besides its own parameters: the roles that the caller may pass, destinations that are
 * there. Makes destinations for http actions' URLs that have none.
 * Errors: ERR_API, and the store's */
NODISCARD Err topic_rule_actions_check(Call *c, const IotTopicRulePayload *payload);
