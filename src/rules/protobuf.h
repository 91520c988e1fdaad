/* Protocol buffers, decoded by a FileDescriptorSet: no generated code, only a walk over the bytes of both.
 * Source: protobuf.dev, Encoding; ProtoJSON Format */
#pragma once

#include "expr/run.h"

/* Shape:  set: a serialised FileDescriptorSet; file: "person" of person.proto, with or without its folder; type:
 *         "Person", or with package and enclosing messages "pack.Outer.Inner"; message: the bytes
 *         *out: an Object as ProtoJSON has it: lowerCamelCase names, enums by name, bytes as base64, 64 bit integers
 *         as Strings, fields that are not set left out, google.protobuf's own types in their forms (Any by a type of
 * the set). Errors: ERR_MALFORMED (set or message), ERR_NOT_FOUND (file or type), ERR_LIMIT; *why says what */
NODISCARD Err protobuf_decode(ExprRun *run, Str set, Str file, Str type, Str message, ExprValue *out, Str *why);
