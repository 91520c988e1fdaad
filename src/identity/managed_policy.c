#include "identity/managed_policy.h"

#define ARN "arn:aws:iam::aws:policy/"
#define ALLOW(actions)                                                                                                 \
    "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[" actions "],\"Resource\":\"*\"}]}"

/* Source: AWS managed policy reference guide; all but the first give actions on every resource. */
static const struct {
    Str arn, document;
} POLICIES[] = {
    { STR_INIT(ARN "AdministratorAccess"), STR_INIT(ALLOW("\"*\"")) },
    { STR_INIT(ARN "AWSIoTFullAccess"), STR_INIT(ALLOW("\"iot:*\",\"iotjobsdata:*\"")) },
    { STR_INIT(ARN "AWSIoTDataAccess"),
      STR_INIT(ALLOW("\"iot:Connect\",\"iot:Publish\",\"iot:Subscribe\",\"iot:Receive\",\"iot:GetThingShadow\","
                     "\"iot:UpdateThingShadow\",\"iot:DeleteThingShadow\",\"iot:ListNamedShadowsForThing\"")) },
    { STR_INIT(ARN "AWSIoTConfigReadOnlyAccess"),
      STR_INIT(ALLOW("\"iot:Describe*\",\"iot:Get*\",\"iot:List*\",\"iot:SearchIndex\",\"iot:TestAuthorization\","
                     "\"iot:TestInvokeAuthorizer\",\"iot:ValidateSecurityProfileBehaviors\"")) },
    { STR_INIT(ARN "service-role/AWSIoTThingsRegistration"),
      STR_INIT(ALLOW("\"iot:AddThingToThingGroup\",\"iot:AttachPolicy\",\"iot:AttachPrincipalPolicy\","
                     "\"iot:AttachThingPrincipal\",\"iot:CreateCertificateFromCsr\",\"iot:CreatePolicy\","
                     "\"iot:CreateThing\",\"iot:DescribeCertificate\",\"iot:DescribeThing\",\"iot:DescribeThingGroup\","
                     "\"iot:DescribeThingType\",\"iot:DetachPolicy\",\"iot:DetachThingPrincipal\",\"iot:GetPolicy\","
                     "\"iot:ListAttachedPolicies\",\"iot:ListPolicyPrincipals\",\"iot:ListPrincipalPolicies\","
                     "\"iot:ListPrincipalThings\",\"iot:ListTargetsForPolicy\",\"iot:ListThingGroupsForThing\","
                     "\"iot:ListThingPrincipals\",\"iot:RegisterCertificate\",\"iot:RegisterThing\","
                     "\"iot:RemoveThingFromThingGroup\",\"iot:UpdateCertificate\",\"iot:UpdateThing\","
                     "\"iot:UpdateThingGroupsForThing\",\"iot:AddThingToBillingGroup\",\"iot:DescribeBillingGroup\","
                     "\"iot:RemoveThingFromBillingGroup\"")) },
    { STR_INIT(ARN "service-role/AWSIoTRuleActions"),
      STR_INIT(ALLOW("\"dynamodb:PutItem\",\"kinesis:PutRecord\",\"iot:Publish\",\"s3:PutObject\",\"sns:Publish\","
                     "\"sqs:SendMessage*\",\"cloudwatch:SetAlarmState\",\"cloudwatch:PutMetricData\","
                     "\"es:ESHttpPut\",\"firehose:PutRecord\"")) },
    { STR_INIT(ARN "service-role/AWSIoTLogging"),
      STR_INIT(ALLOW("\"logs:CreateLogGroup\",\"logs:CreateLogStream\",\"logs:PutLogEvents\","
                     "\"logs:PutMetricFilter\",\"logs:PutRetentionPolicy\",\"logs:GetLogEvents\","
                     "\"logs:DeleteLogStream\"")) },
    { STR_INIT(ARN "service-role/AWSLambdaBasicExecutionRole"),
      STR_INIT(ALLOW("\"logs:CreateLogGroup\",\"logs:CreateLogStream\",\"logs:PutLogEvents\"")) },
};

Str managed_policy_arn(size_t i) {
    return i < sizeof POLICIES / sizeof *POLICIES ? POLICIES[i].arn : STR_NONE;
}

Str managed_policy_document(Str arn) {
    for (size_t i = 0; i < sizeof POLICIES / sizeof *POLICIES; i++)
        if (str_eq(arn, POLICIES[i].arn)) return POLICIES[i].document;
    return STR_NONE;
}
