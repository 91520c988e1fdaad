#include "api/error.h"

#define ERROR(text, code)                                                                                              \
    { .name = STR_INIT(text), .status = (code), .message_member = STR_INIT("message") }

const ApiError api_errors[] = {
    ERROR("SerializationException", 400),      ERROR("ValidationException", 400),
    ERROR("AccessDeniedException", 403),       ERROR("UnknownOperationException", 404),
    ERROR("MethodNotAllowedException", 405),   ERROR("RequestEntityTooLargeException", 413),
    ERROR("ThrottlingException", 429),         ERROR("InternalFailureException", 500),
    ERROR("NotImplementedException", 501),     ERROR("UnsupportedMediaTypeException", 415),
    ERROR("ServiceUnavailableException", 503),
};

const ApiError *api_error_of(const ApiService *s, const ApiError *general) {
    for (size_t i = 0; s && i < s->errors_n; i++)
        if (str_eq(s->errors[i].name, general->name)) return &s->errors[i];
    return general;
}
