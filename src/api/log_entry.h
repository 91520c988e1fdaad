/* One entry of the service log as text. Pure. */
#pragma once

#include "api/service_log.h"

/* Shape:  {"timestamp":"2017-08-10 15:37:23.476","logLevel":"INFO","traceId":…,"accountId":…,"status":"Success", …}
 * A line: control characters are escaped. What would make it longer than LOG_ENTRY_BYTES_MAX is left out. */
Str log_entry_json(const LogEntry *entry, Arena *arena);
/* Shape:  2017-08-10 15:37:23.476 TRACEID:… PRINCIPALID:… [INFO] EVENT:… TOPICNAME:… MESSAGE:…
 * Source: AWS IoT developer guide of 2017, "CloudWatch Logs" */
Str log_entry_text(const LogEntry *entry, Arena *arena);

enum { LOG_ENTRY_BYTES_MAX = 4000 }; /* with its group and line break what a pipe takes at once */
