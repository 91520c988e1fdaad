/* OpenSearch and Elasticsearch, which differ in their names alone: the result is a document of an index.
 * Source: AWS IoT developer guide, "OpenSearch"; botocore's OpenSearchAction, ElasticsearchAction; the Index API */
#include "base/encode.h"
#include "generated/iot.h"
#include "rules/actions/aws.h"
#include "rules/actions/kinds.h"

enum { DOCUMENT_BYTES_MAX = 10 << 20, ID_BYTES_MAX = 512 };

_Static_assert(sizeof(IotOpenSearchAction) == sizeof(IotElasticsearchAction), "the two kinds have the same members");
_Static_assert(offsetof(IotOpenSearchAction, id) == offsetof(IotElasticsearchAction, id) &&
                   offsetof(IotOpenSearchAction, endpoint) == offsetof(IotElasticsearchAction, endpoint),
               "the two kinds have the same members");

static Str resource(Arena *arena, const void *action) {
    const IotOpenSearchAction *a = action;
    return str_format(arena, "%.*s/%.*s", PS(a->endpoint), PS(a->index));
}

static Err check(ActionCheck *c, const void *action) {
    const IotOpenSearchAction *a = action;
    AwsEndpoint e;
    Str why;
    if (str_find_str(a->endpoint, S("${")) == SIZE_MAX && aws_endpoint_parse(a->endpoint, c->arena, &e, &why) != OK)
        return action_refuse(c, "endpoint: %.*s", PS(why));
    return OK;
}

static void start(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    const IotOpenSearchAction *a = item->action;
    const AwsService *service = aws_service(S("opensearch"));
    AwsEndpoint domain;
    Str why;
    if (aws_endpoint_parse(a->endpoint, run->arena, &domain, &why) != OK) {
        action_failed(run, "the endpoint is none: %.*s", PS(why));
        return;
    }
    if (!a->index.len || !a->type.len || !a->id.len || a->id.len > ID_BYTES_MAX) {
        action_failed(run, "index '%.*s', type '%.*s' and id '%.*s' may not be empty, nor the id longer than %d bytes",
                      PS(a->index), PS(a->type), PS(a->id), ID_BYTES_MAX);
        return;
    }
    Str index = percent_encode(run->arena, a->index, false), type = percent_encode(run->arena, a->type, false),
        id = percent_encode(run->arena, a->id, false);
    bool elsewhere = aws_client_is_custom(run->env->aws, service); /* a domain's name means nothing here then */
    action_aws(run, &(AwsRequest){ .service = service,
                                   .endpoint = elsewhere ? NULL : &domain,
                                   .method = S("PUT"),
                                   .path = str_format(run->arena, "/%.*s/%.*s/%.*s", PS(index), PS(type), PS(id)),
                                   .content_type = S("application/json"),
                                   .body = item->payload });
}

/* A domain's address begins with search-NAME-, then what AWS adds; of another address all of it stands for the name.
 * Source: OpenSearch Service developer guide, "Identity and Access Management" */
static ActionRight right(Arena *arena, const void *action) {
    const IotOpenSearchAction *a = action;
    AwsEndpoint e = { 0 };
    Str why, label = STR_NONE;
    if (aws_endpoint_parse(a->endpoint, arena, &e, &why) == OK) {
        label = str_cut(&e.host, '.');
    }
    size_t end = label.len;
    while (end > 0 && label.ptr[end - 1] != '-') end--;
    if (str_starts(label, S("search-")) && end > sizeof "search-")
        label = str_sub(label, sizeof "search-" - 1, end - 1);
    Str arn = str_format(arena, "arn:aws:es:{region}:{account}:domain/%.*s/%.*s/%.*s/%.*s", PS(label), PS(a->index),
                         PS(a->type), PS(a->id));
    return (ActionRight){ "es:ESHttpPut", str_dup_c(arena, arn) };
}

const ActionKind ACTION_OPENSEARCH = {
    .member = STR_INIT("openSearch"),
    .failed = STR_INIT("OpenSearchAction"),
    .check = check,
    .resource = resource,
    .right_of = right,
    .start = start,
    .payload_bytes_max = DOCUMENT_BYTES_MAX,
    .json_only = true,
};

const ActionKind ACTION_ELASTICSEARCH = {
    .member = STR_INIT("elasticsearch"),
    .failed = STR_INIT("ElasticsearchAction"),
    .check = check,
    .resource = resource,
    .right_of = right,
    .start = start,
    .payload_bytes_max = DOCUMENT_BYTES_MAX,
    .json_only = true,
};
