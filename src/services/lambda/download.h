/* Where a function's package can be had: a URL as GetFunction gives one, good for ten minutes and for nothing else. */
#pragma once

#include "services/lambda/shared.h"

#define LAMBDA_DOWNLOAD_PATH "/_starling/functions/"

/* Shape: https://ENDPOINT/_starling/functions/ACCOUNT/REGION/NAME/SHA256/EXPIRES_MS/SIGNATURE */
Str download_url(Call *c, const LambdaFunctionRecord *f);

/* The zip that such a path means. Not on a reactor.
 * Errors: ERR_DENIED (not from here, or too old), ERR_NOT_FOUND, ERR_IO */
NODISCARD Err download_read(Lambda *l, Str path, Arena *arena, Str *zip);
