/* What a kafka action's properties mean to librdkafka. */
#pragma once

#include <librdkafka/rdkafka.h>

#include "rules/kafka_client.h"

/* Errors: ERR_INVALID; *why lives in the arena */
NODISCARD Err kafka_properties_apply(StrMap properties, rd_kafka_conf_t *conf, Arena *arena, Str *why);
