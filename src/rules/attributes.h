/* DynamoDB's typed attributes as plain JSON. Pure. */
#pragma once

#include "base/json.h"

/* An object of attributes as plain JSON: sets are arrays, binaries their base64; numbers keep their digits.
 * Errors: ERR_MALFORMED: an attribute that is none, or nested deeper than 64 */
NODISCARD Err attributes_plain(yyjson_mut_doc *d, yyjson_val *attributes, yyjson_mut_val **out);
