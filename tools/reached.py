#!/usr/bin/env python3
"""Says what a run of tests did not reach: operations that are answered, and errors that their models declare.

    tools/reached.py FILE...      files that --test-reached wrote, and unit tests with STARLING_REACHED
        prints, a service at a time, what no test reached, and a summary as the last line

A line is: service operation OK-or-error client, where the client is an SDK's name as its User-Agent has it, "unit" or "-".
"""
import collections
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from coverage_page import ROOT, handlers, tested  # noqa: E402
from model import Service, snake  # noqa: E402

SDKS = {"Boto3", "aws-cli", "aws-sdk-js", "aws-sdk-go-v2"}
# Declared by nearly every operation; the server gives them for what is none of the operation's: its own faults, rates,
# signatures. They are tested where they are made, as is the service's error for a value outside its limits.
EVERYWHERE = {"InternalFailure", "InternalServer", "Internal", "InternalServerError", "InternalServerErrorException",
              "ServiceUnavailable", "Throttling", "Unauthorized", "AccessDenied", "MethodNotAllowed", "ServiceFailure"}

# Declared, but no client can get them here: service, errors, operations (* is all), why.
NEVER = [
    ("iot", "ConflictingResourceUpdate", "*", "changes at the same time wait for each other"),
    ("iot", "IndexNotReady", "*", "connectivity is asked of the broker, not of an index"),
    ("iot", "ResourceNotFound", "DeleteThing DeleteThingGroup DeleteBillingGroup", "they succeed on what is not there, as at AWS"),
    ("iot", "ResourceNotFound", "ListBillingGroups RegisterCACertificate", "their input names nothing that could be missing"),
    ("iot", "LimitExceeded", "DetachPolicy GetEffectivePolicies ListAttachedPolicies ListTargetsForPolicy TestAuthorization",
     "nothing grows by them"),
    ("iot", "DeleteConflict", "DeleteCertificateProvider DeleteRoleAlias", "nothing holds them"),
    ("iot", "DeleteConflict", "DeletePolicyVersion", "AWS answers InvalidRequest for the default version"),
    ("iot", "CertificateState", "RegisterCertificateWithoutCA", "there is no CA that could be inactive"),
    ("iot", "ResourceAlreadyExists", "CreateTopicRuleDestination", "each has a name of its own"),
    ("iot", "CertificateValidation", "UpdateDomainConfiguration", "it cannot change the certificate"),
    ("iot-data", "UnsupportedDocumentEncoding", "GetThingShadow DeleteThingShadow", "no document comes in"),
    ("iot-data", "ResourceNotFound", "ListNamedShadowsForThing", "of a thing without shadows it is an empty list"),
    ("acm", "Conflict", "*", "changes at the same time wait for each other"),
    ("acm", "TagPolicy", "*", "there are no tag policies"),
    ("acm", "LimitExceeded", "*", "imported certificates have no limit"),
    ("acm", "RequestInProgress", "*", "nothing is issued, so nothing waits"),
    ("acm", "InvalidArgs InvalidParameter", "ListCertificates AddTagsToCertificate RemoveTagsFromCertificate",
     "a value outside its limits is Validation"),
    ("acm", "InvalidTag", "RemoveTagsFromCertificate", "a tag that nothing has is not there"),
    ("acm", "TooManyTags", "ImportCertificate", "more than 50 are outside the limits already"),
    ("lambda", "CodeSigningConfigNotFound CodeVerificationFailed InvalidCodeSignature", "*", "code is not signed here"),
    ("lambda", "FunctionVersionsPerCapacityProviderLimitExceeded DurableExecutionAlreadyStarted ModeNotSupported "
     "NoPublishedVersion", "*", "there are neither capacity providers nor durable executions"),
    ("lambda", "EC2AccessDenied EC2Throttled EC2Unexpected ENILimitReached ENINotReady InvalidSecurityGroupID InvalidSubnetID "
     "SubnetIPAddressLimitReached", "*", "there are no VPCs"),
    ("lambda", "EFSIO EFSMountConnectivity EFSMountFailure EFSMountTimeout S3FilesMountConnectivity S3FilesMountFailure "
     "S3FilesMountTimeout", "*", "no file system is mounted"),
    ("lambda", "KMSAccessDenied KMSDisabled KMSInvalidState KMSNotFound", "*", "there is no KMS"),
    ("lambda", "SnapStart SnapStartNotReady SnapStartRegenerationFailure SnapStartTimeout", "*", "there are no snapshots"),
    ("lambda", "CodeArtifactUserDeleted CodeArtifactUserFailed CodeArtifactUserPending RuntimeAliasDeleted RuntimeVersionDeleted "
     "InvalidZipFile ResourceNotReady", "*", "a package is checked and there with its function"),
    ("lambda", "CodeStorageExceeded ServiceQuotaExceeded", "*", "the disk is the limit"),
    ("lambda", "AliasLimitExceeded", "*", "aliases have no limit"),
    ("lambda", "RecursiveInvocation", "*", "nothing ends circles of functions"),
    ("lambda", "PublicPolicy", "*", "nothing forbids a public policy"),
    ("lambda", "SerializedRequestEntityTooLarge UnsupportedMediaType", "*", "RequestTooLarge says it; a payload is of any type"),
    ("lambda", "Service", "*", "the server's own faults"),
    ("lambda", "TooManyRequests", "* -Invoke", "no rates of the API; reserved concurrency is Invoke's"),
    ("lambda", "ResourceConflict", "Invoke PublishVersion PutFunctionConcurrency DeleteFunctionConcurrency TagResource UntagResource "
     "UpdateFunctionCode UpdateFunctionConfiguration", "no function is half made"),
    ("lambda", "ResourceNotFound", "CreateFunction", "there are no layers or images that could be missing"),
    ("lambda", "InvalidParameterValue", "GetFunctionRecursionConfig ListFunctions ListTags ListVersionsByFunction TagResource "
     "UntagResource", "ValidationException says it"),
]


def possible(service, op, error):
    """Whether a client can get this error of this operation."""
    if error in EVERYWHERE or error == service.invalid:
        return False
    return not any(name == service.name and error in errors.split() and
                   (op in ops.split() or ops.startswith("*") and f"-{op}" not in ops) for name, errors, ops, _ in NEVER)


def read(paths):
    """{(service, operation): {answer: {client}}}"""
    seen = collections.defaultdict(lambda: collections.defaultdict(set))
    for path in paths:
        for line in pathlib.Path(path).read_text().splitlines():
            words = line.split()
            if len(words) == 4:
                seen[words[0], words[1]][words[2]].add(words[3])
    return seen


def report(services, found, by_name, seen):
    lines, totals = [], collections.Counter()
    for s in services:
        answered = [op for op in s.ops if f"{snake(s.name)}_{snake(op.name)}" in found]
        silent = [op.name for op in answered if "OK" not in seen[s.name, op.name]]
        no_sdk = [op.name for op in answered if op.name not in silent and not SDKS & seen[s.name, op.name]["OK"]]
        claimed = [op.name for op in answered if op.name in by_name[s.name] and op.name in silent + no_sdk]
        own = {op.name: [e for e in op.errors if possible(s, op.name, e)] for op in answered}
        errors = {name: [e for e in all_of if s.errors[e].wire not in seen[s.name, name]] for name, all_of in own.items()}
        totals.update(answered=len(answered), silent=len(silent), no_sdk=len(no_sdk), errors=sum(map(len, errors.values())),
                      declared=sum(map(len, own.values())))
        if not answered:
            continue
        lines.append(f"{s.name}:")
        for title, names in (("no test had it succeed", silent), ("only without an SDK", no_sdk),
                             ("named by a test that did not reach it", claimed)):
            if names:
                lines.append(f"  {title}: {', '.join(names)}")
        lines += [f"  {op}: no test got {', '.join(names)}" for op, names in errors.items() if names]
    lines.append("operations: {answered} answered, {silent} that no test had succeed, {no_sdk} only without an SDK; errors: "
                 "{errors} of {declared} declared that no test got".format(**{**dict.fromkeys(
                     ("answered", "silent", "no_sdk", "errors", "declared"), 0), **totals}))
    return lines


def main(paths):
    services = [Service(path) for path in sorted((ROOT / "models").glob("*.api"))]
    print("\n".join(report(services, handlers(), tested(services), read(paths))))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
