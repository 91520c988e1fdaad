#include "services/lambda/settings.h"

#include <openssl/sha.h>
#include <sys/utsname.h>

#include "aws/folder.h"
#include "base/encode.h"
#include "services/lambda/code.h"

/* Source: Lambda quotas; the texts: as AWS answers */
enum { TIMEOUT_S_MAX = 900, MEMORY_MB_MAX = 10240, TMP_MB_MAX = 10240, ENVIRONMENT_BYTES_MAX = 4096 };

Err lambda_refuse_foreign(Call *c, const LambdaForeign *f) {
    const struct {
        bool asked;
        const char *what;
    } all[] = { { f->vpc, "VpcConfig: functions run on this machine and use its network" },
                { f->layers, "Layers: put what they hold into the package" },
                { f->files, "FileSystemConfigs" },
                { f->image, "package type Image: give a zip" },
                { f->dead_letter, "DeadLetterConfig" },
                { f->snap_start, "SnapStart" },
                { f->kms, "KMSKeyArn" },
                { f->signing, "CodeSigningConfigArn" },
                { f->capacity, "CapacityProviderConfig, DurableConfig, TenancyConfig, RuntimeConfig or "
                               "AcceleratorConfig" } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].asked) return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE, "There is no %s here", all[i].what);
    return OK;
}

static Err out_of_range(Call *c, const char *member, int64_t value, int64_t most) {
    return api_fail(
        c, LAMBDA_INVALID_PARAMETER_VALUE,
        "'%s' value failed to satisfy constraint: Member must have value less than or equal to %lld, got %lld", member,
        (long long)most, (long long)value);
}

/* Source: Lambda developer guide, "Reserved environment variables" */
static bool is_reserved(Str key) {
    static const Str RESERVED[] = { STR_INIT("_HANDLER"),
                                    STR_INIT("_X_AMZN_TRACE_ID"),
                                    STR_INIT("AWS_DEFAULT_REGION"),
                                    STR_INIT("AWS_REGION"),
                                    STR_INIT("AWS_EXECUTION_ENV"),
                                    STR_INIT("AWS_LAMBDA_FUNCTION_NAME"),
                                    STR_INIT("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
                                    STR_INIT("AWS_LAMBDA_FUNCTION_VERSION"),
                                    STR_INIT("AWS_LAMBDA_INITIALIZATION_TYPE"),
                                    STR_INIT("AWS_LAMBDA_LOG_GROUP_NAME"),
                                    STR_INIT("AWS_LAMBDA_LOG_STREAM_NAME"),
                                    STR_INIT("AWS_LAMBDA_RUNTIME_API"),
                                    STR_INIT("LAMBDA_TASK_ROOT"),
                                    STR_INIT("LAMBDA_RUNTIME_DIR") };
    for (size_t i = 0; i < sizeof RESERVED / sizeof *RESERVED; i++)
        if (str_eq(key, RESERVED[i])) return true;
    return false;
}

/* AWS also reserves its own keys' variables; here they are the only way to give a function some. */
static Err environment(Call *c, StrMap vars, LambdaFunctionRecord *f) {
    size_t bytes = 0;
    for (size_t i = 0; i < vars.n; i++) {
        StrPair v = vars.items[i];
        bytes += v.key.len + v.value.len + 8;
        if (is_reserved(v.key))
            return api_fail(
                c, LAMBDA_INVALID_PARAMETER_VALUE,
                "Lambda was unable to configure your environment variables because the environment variables "
                "you have provided contains reserved keys that are currently not supported for "
                "modification. Reserved keys used in this request: %.*s",
                PS(v.key));
        if (memchr(v.value.ptr ? v.value.ptr : (const uint8_t *)"", 0, v.value.len))
            return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE, "The environment variable %.*s holds a zero byte",
                            PS(v.key));
    }
    if (bytes > ENVIRONMENT_BYTES_MAX)
        return api_fail(
            c, LAMBDA_INVALID_PARAMETER_VALUE,
            "Lambda was unable to configure your environment variables because the environment variables you "
            "have provided exceeded the 4KB limit. String measured: %zu bytes",
            bytes);
    f->environment = vars;
    return OK;
}

static Err runtime(Call *c, const LambdaSettings *s, LambdaFunctionRecord *f) {
    if (s->runtime.len) f->runtime = s->runtime;
    if (s->handler.len) f->handler = s->handler;
    if (!f->runtime.len || !f->handler.len)
        return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE,
                        "Runtime and Handler are mandatory parameters for functions created with deployment packages.");
    if (runner_can(f->runtime)) return OK;
    return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE,
                    "The runtime %.*s is not run here: python3.x are, and provided.al2023 or another provided runtime "
                    "with an executable file 'bootstrap' in the package",
                    PS(f->runtime));
}

Err lambda_settings_apply(Call *c, const LambdaSettings *s, LambdaFunctionRecord *f) {
    Err e = runtime(c, s, f);
    if (e != OK) return e;
    if (s->timeout.set && s->timeout.v > TIMEOUT_S_MAX) return out_of_range(c, "Timeout", s->timeout.v, TIMEOUT_S_MAX);
    if (s->memory_size.set && s->memory_size.v > MEMORY_MB_MAX)
        return out_of_range(c, "MemorySize", s->memory_size.v, MEMORY_MB_MAX);
    if (s->ephemeral_storage && s->ephemeral_storage->size.v > TMP_MB_MAX)
        return out_of_range(c, "EphemeralStorage.Size", s->ephemeral_storage->size.v, TMP_MB_MAX);
    if (s->logging_config && str_eq(s->logging_config->log_format, S("JSON")))
        return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE, "There is no log format JSON here: logs are Text");
    if (s->environment && s->environment->variables.set) e = environment(c, s->environment->variables, f);
    if (e != OK) return e;
    if (s->description.ptr) f->description = s->description;
    if (s->timeout.set) f->timeout_s = s->timeout.v;
    if (s->memory_size.set) f->memory_mb = s->memory_size.v;
    if (s->ephemeral_storage && s->ephemeral_storage->size.set) f->ephemeral_mb = s->ephemeral_storage->size.v;
    if (s->tracing_config && s->tracing_config->mode.len) f->tracing_mode = s->tracing_config->mode;
    return OK;
}

/* A python package may hold anything; a bootstrap of another machine would not start, which its call then says. */
Err lambda_architecture(Call *c, StrList asked, LambdaFunctionRecord *f) {
    if (asked.n > 1) return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE, "Only one architecture may be given");
    if (asked.n) f->architecture = asked.items[0];
    if (!f->architecture.len) f->architecture = S("x86_64");
    return OK;
}

Err lambda_package_store(Call *c, const LambdaPackage *p, bool dry_run, LambdaFunctionRecord *f) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    Str why = S("");
    if (p->image_uri.len) return lambda_refuse_foreign(c, &(LambdaForeign){ .image = true });
    Str zip = p->zip_file;
    if (p->s3_bucket.len || p->s3_key.len) {
        struct Folder *objects = c->env->lambda ? lambda_objects(c->env->lambda) : NULL;
        why = S("there is no S3 here");
        if (!objects || folder_get_wait(objects, c->account, p->s3_bucket, p->s3_key, c->arena, &zip, &why) != OK)
            return api_fail(
                c, LAMBDA_INVALID_PARAMETER_VALUE,
                "Error occurred while GetObject of s3://%.*s/%.*s: %.*s. Packages come as ZipFile, or from the "
                "folder s3/BUCKET/KEY in the server's data",
                PS(p->s3_bucket), PS(p->s3_key), PS(why));
    }
    if (!zip.len) return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE, "Uploaded file must be a non-empty zip");
    if (zip.len > LAMBDA_ZIP_BYTES_MAX)
        return api_fail(c, LAMBDA_REQUEST_TOO_LARGE, "The zip has %zu bytes, more than the %zu of a direct upload",
                        zip.len, LAMBDA_ZIP_BYTES_MAX);
    if (lambda_code_check(zip, c->arena, &why) != OK)
        return api_fail(c, LAMBDA_INVALID_PARAMETER_VALUE,
                        "Could not unzip uploaded file. Please check your file, then try to upload again. (%.*s)",
                        PS(why));
    SHA256(zip.ptr, zip.len, digest);
    f->code_sha256 = hex_encode(c->arena, (Str){ digest, sizeof digest });
    f->code_bytes = (int64_t)zip.len;
    if (dry_run) return OK;
    LambdaCodeRecord code = { .function_name = f->function_name, .code_sha256 = f->code_sha256, .zip = zip };
    return lambda_code_record_put(c->txn, call_tenant(c), &code);
}
