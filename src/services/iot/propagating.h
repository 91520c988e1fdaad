/* Message enrichment: what a thing type adds to the publishes of its things as MQTT 5 user properties. Kept in the
 * type's record as the JSON of its mqtt5Configuration; identity/directory_load.c reads it for the broker. */
#pragma once

#include "generated/iot.h"
#include "generated/iot_records.h"

/* Of a type that is about to be written. One that adds nothing has no configuration.
 * Errors: ERR_API: more than 20, no key or a key twice, neither or both kinds of attribute, an unknown one of the
 *         connection */
NODISCARD Err propagating_check(Call *c, const IotThingTypeProperties *in, ThingTypeRecord *type);
