#include "aws/service.h"

#include "base/writer.h"

/* Source: each service's model in botocore 1.44.5: endpointPrefix, signingName, targetPrefix, jsonVersion, serviceId */
static const AwsService SERVICES[] = {
    { .name = STR_INIT("lambda"),
      .env = STR_INIT("LAMBDA"),
      .host = STR_INIT("lambda"),
      .signing = STR_INIT("lambda") },
    { .name = STR_INIT("s3"), .env = STR_INIT("S3"), .host = STR_INIT("s3"), .signing = STR_INIT("s3") },
    { .name = STR_INIT("sqs"),
      .env = STR_INIT("SQS"),
      .host = STR_INIT("sqs"),
      .signing = STR_INIT("sqs"),
      .target = STR_INIT("AmazonSQS"),
      .version = STR_INIT("1.0") },
    { .name = STR_INIT("sns"),
      .env = STR_INIT("SNS"),
      .host = STR_INIT("sns"),
      .signing = STR_INIT("sns"),
      .version = STR_INIT("2010-03-31"),
      .query = true },
    { .name = STR_INIT("dynamodb"),
      .env = STR_INIT("DYNAMODB"),
      .host = STR_INIT("dynamodb"),
      .signing = STR_INIT("dynamodb"),
      .target = STR_INIT("DynamoDB_20120810"),
      .version = STR_INIT("1.0") },
    { .name = STR_INIT("kinesis"),
      .env = STR_INIT("KINESIS"),
      .host = STR_INIT("kinesis"),
      .signing = STR_INIT("kinesis"),
      .target = STR_INIT("Kinesis_20131202"),
      .version = STR_INIT("1.1") },
    { .name = STR_INIT("firehose"),
      .env = STR_INIT("FIREHOSE"),
      .host = STR_INIT("firehose"),
      .signing = STR_INIT("firehose"),
      .target = STR_INIT("Firehose_20150804"),
      .version = STR_INIT("1.1") },
    { .name = STR_INIT("cloudwatch"),
      .env = STR_INIT("CLOUDWATCH"),
      .host = STR_INIT("monitoring"),
      .signing = STR_INIT("monitoring"),
      .version = STR_INIT("2010-08-01"),
      .query = true },
    { .name = STR_INIT("logs"),
      .env = STR_INIT("CLOUDWATCH_LOGS"),
      .host = STR_INIT("logs"),
      .signing = STR_INIT("logs"),
      .target = STR_INIT("Logs_20140328"),
      .version = STR_INIT("1.1") },
    { .name = STR_INIT("stepfunctions"),
      .env = STR_INIT("SFN"),
      .host = STR_INIT("states"),
      .signing = STR_INIT("states"),
      .target = STR_INIT("AWSStepFunctions"),
      .version = STR_INIT("1.0") },
    { .name = STR_INIT("timestream-write"),
      .env = STR_INIT("TIMESTREAM_WRITE"),
      .host = STR_INIT("ingest.timestream"),
      .signing = STR_INIT("timestream"),
      .target = STR_INIT("Timestream_20181101"),
      .version = STR_INIT("1.0"),
      .discovers = true },
    { .name = STR_INIT("secretsmanager"),
      .env = STR_INIT("SECRETS_MANAGER"),
      .host = STR_INIT("secretsmanager"),
      .signing = STR_INIT("secretsmanager"),
      .target = STR_INIT("secretsmanager"),
      .version = STR_INIT("1.1") },
    { .name = STR_INIT("machinelearning"),
      .env = STR_INIT("MACHINE_LEARNING"),
      .host = STR_INIT("machinelearning"),
      .signing = STR_INIT("machinelearning"),
      .target = STR_INIT("AmazonML_20141212"),
      .version = STR_INIT("1.1") },
    { .name = STR_INIT("location"),
      .env = STR_INIT("LOCATION"),
      .host = STR_INIT("tracking.geo"),
      .signing = STR_INIT("geo") },
    /* A domain's address comes with the action; an endpoint of this name takes its place. */
    { .name = STR_INIT("opensearch"),
      .env = STR_INIT("OPENSEARCH"),
      .host = STR_INIT("es"),
      .signing = STR_INIT("es") },
};
enum { SERVICES_N = sizeof SERVICES / sizeof *SERVICES };

const AwsService *aws_service(Str name) {
    for (size_t i = 0; i < SERVICES_N; i++)
        if (str_eq(SERVICES[i].name, name)) return &SERVICES[i];
    return NULL;
}

Str aws_service_names(Arena *arena) {
    Writer w = writer_in(arena);
    for (size_t i = 0; i < SERVICES_N; i++) writer_format(&w, "%s%.*s", i ? ", " : "", PS(SERVICES[i].name));
    return writer_str(&w);
}

static bool is_host(Str host) {
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.ptr[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
        if (!good) return false;
    }
    return host.len > 0;
}

static bool is_path(Str path) {
    for (size_t i = 0; i < path.len; i++)
        if (path.ptr[i] <= ' ' || path.ptr[i] >= 0x7f || path.ptr[i] == '?' || path.ptr[i] == '#') return false;
    return true;
}

Err aws_endpoint_parse(Str url, Arena *arena, AwsEndpoint *out, Str *why) {
    AwsEndpoint e = { .custom = true };
    e.scheme = str_starts(url, S("https://")) ? S("https") : str_starts(url, S("http://")) ? S("http") : STR_NONE;
    Str rest = e.scheme.ptr ? str_from(url, e.scheme.len + 3) : url;
    size_t slash = str_find(rest, '/');
    e.host = str_sub(rest, 0, slash == SIZE_MAX ? rest.len : slash);
    e.path = str_from(rest, e.host.len);
    while (str_ends(e.path, S("/"))) e.path.len--;
    if (!e.scheme.ptr || !is_host(e.host) || !is_path(e.path)) {
        *why = str_format(arena, "got '%.*s', expected https://HOST[:PORT][/PATH] or http://…", PS(url));
        return ERR_INVALID;
    }
    *out = e;
    return OK;
}

/* The URL of `name` in a list NAME=URL,NAME=URL; STR_NONE: it is not there. */
static Str listed(Str settings, Str name) {
    while (settings.len) {
        Str url = str_cut(&settings, ','), key = str_trim(str_cut(&url, '='));
        if (str_eq(key, name)) return str_trim(url);
    }
    return STR_NONE;
}

Err aws_endpoint_settings_check(Str settings, Arena *arena, Str *why) {
    while (settings.len) {
        Str one = str_cut(&settings, ','), url = one, name = str_trim(str_cut(&url, '='));
        AwsEndpoint endpoint;
        if (!aws_service(name)) {
            Str names = aws_service_names(arena);
            *why = str_format(arena, "aws-endpoint: got '%.*s', expected SERVICE=URL with a service of: %.*s", PS(one),
                              PS(names));
            return ERR_INVALID;
        }
        if (aws_endpoint_parse(str_trim(url), arena, &endpoint, why) != OK) {
            *why = str_format(arena, "aws-endpoint: %.*s: %.*s", PS(name), PS(*why));
            return ERR_INVALID;
        }
    }
    return OK;
}

Err aws_endpoint_of(const AwsService *service, Str region, Str settings, AwsEnvironment *env, Arena *arena,
                    AwsEndpoint *out, Str *why) {
    Str url = listed(settings, service->name);
    if (!url.len) url = str_c(env(str_dup_c(arena, str_format(arena, "AWS_ENDPOINT_URL_%.*s", PS(service->env)))));
    if (!url.len) url = str_c(env("AWS_ENDPOINT_URL"));
    if (url.len) return aws_endpoint_parse(url, arena, out, why);
    *out = (AwsEndpoint){ .scheme = S("https"),
                          .host = str_format(arena, "%.*s.%.*s.amazonaws.com", PS(service->host), PS(region)) };
    return OK;
}
