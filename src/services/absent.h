/* Reserved topics of AWS IoT whose service is not there yet. A request on one is refused as that service refuses, so
 * that the device is told, and its connection with all else on it (shadows) goes on.
 * Source: developer guide, "Reserved topics", and the pages of jobs, provisioning, file delivery, Defender, commands.
 */
#pragma once

#include "api/call.h"

bool absent_topic_takes(Str topic); /* a TopicService's */
Err absent_topic_run(Call *c, Str topic, Str payload);
