/* One line a decision. A policy is written as statements between " ; ":  A|D  ACTIONS  RESOURCES  [CONDITION],
 * lists joined by commas, a leading ! for NotAction and NotResource, @ for arn:aws:iot:us-east-1:123456789012:,
 * single quotes in the condition for double ones. Extra keys are KEY=VALUE|VALUE, joined by spaces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/writer.h"
#include "identity/policy.h"

#define NO POLICY_IMPLICIT_DENY
#define DENY POLICY_EXPLICIT_DENY
#define YES POLICY_ALLOWED

typedef struct {
    const char *policy, *action, *resource;
    PolicyDecision want;
    const char *extra;
} Case;

#define CLIENT "${iot:ClientId}"
#define THING "${iot:Connection.Thing.ThingName}"
#define CN "${iot:Certificate.Subject.CommonName"

/* clang-format off */
static const Case cases[] = {
    /* actions */
    { "A iot:Publish *", "iot:Publish", "@topic/a", YES, "" },
    { "A iot:Publish *", "iot:publish", "@topic/a", YES, "" },
    { "A IOT:PUBLISH *", "iot:Publish", "@topic/a", YES, "" },
    { "A iot:Publish *", "iot:Receive", "@topic/a", NO, "" },
    { "A iot:Publish *", "iot:PublishX", "@topic/a", NO, "" },
    { "A iot:Publish *", "iot:Publis", "@topic/a", NO, "" },
    { "A iot:Publish *", "", "@topic/a", NO, "" },
    { "A iot:* *", "iot:Publish", "@topic/a", YES, "" },
    { "A iot:Pub* *", "iot:Publish", "@topic/a", YES, "" },
    { "A iot:*lish *", "iot:Publish", "@topic/a", YES, "" },
    { "A iot:P?blish *", "iot:Publish", "@topic/a", YES, "" },
    { "A iot:P?lish *", "iot:Publish", "@topic/a", NO, "" },
    { "A * *", "iot:Publish", "@topic/a", YES, "" },
    { "A * *", "iotjobsdata:UpdateJobExecution", "@thing/t", YES, "" },
    { "A iot:* *", "iotjobsdata:UpdateJobExecution", "@thing/t", NO, "" },
    { "A iotjobsdata:* *", "iotjobsdata:UpdateJobExecution", "@thing/t", YES, "" },
    { "A sts:GetCallerIdentity *", "sts:GetCallerIdentity", "*", YES, "" },
    { "A iot:Publish,iot:Receive *", "iot:Receive", "@topic/a", YES, "" },
    { "A !iot:Publish *", "iot:Receive", "@topic/a", YES, "" },
    { "A !iot:Publish *", "iot:Publish", "@topic/a", NO, "" },
    { "A !iot:Pub*,iot:Rec* *", "iot:Receive", "@topic/a", NO, "" },
    { "D !iot:Connect * ; A * *", "iot:Publish", "@topic/a", DENY, "" },
    { "D !iot:Connect * ; A * *", "iot:Connect", "@client/a", YES, "" },
    { "A iot:ListRetainedMessages *", "iot:ListRetainedMessages", "*", YES, "" },
    { "A iot:ListRetainedMessages @topic/a", "iot:ListRetainedMessages", "*", NO, "" },
    /* resources */
    { "A iot:Publish @topic/a", "iot:Publish", "@topic/a", YES, "" },
    { "A iot:Publish @topic/a", "iot:Publish", "@topic/A", NO, "" },
    { "A iot:Publish @topic/a", "iot:Publish", "@topic/a/b", NO, "" },
    { "A iot:Publish @topic/a", "iot:Publish", "@topic/", NO, "" },
    { "A iot:Publish @topic/a", "iot:Publish", "@topicfilter/a", NO, "" },
    { "A iot:Publish @topic/a", "iot:Publish", "", NO, "" },
    { "A iot:Publish @topic/a", "iot:Publish", "arn:aws:iot:eu-west-1:123456789012:topic/a", NO, "" },
    { "A iot:Publish arn:aws:iot:*:123456789012:topic/a", "iot:Publish", "@topic/a", YES, "" },
    { "A iot:Publish arn:aws:iot:*:999999999999:topic/a", "iot:Publish", "@topic/a", NO, "" },
    { "A iot:Publish @topic/a,@topic/b", "iot:Publish", "@topic/b", YES, "" },
    { "A iot:Publish @topic/a,@topic/b", "iot:Publish", "@topic/c", NO, "" },
    { "A iot:Publish !@topic/a", "iot:Publish", "@topic/b", YES, "" },
    { "A iot:Publish !@topic/a", "iot:Publish", "@topic/a", NO, "" },
    { "A iot:Publish !@topic/a,@topic/b*", "iot:Publish", "@topic/bc", NO, "" },
    { "D iot:* !@topic/a ; A iot:* *", "iot:Publish", "@topic/b", DENY, "" },
    { "D iot:* !@topic/a ; A iot:* *", "iot:Publish", "@topic/a", YES, "" },
    /* wildcards */
    { "A iot:Publish @topic/*", "iot:Publish", "@topic/a/b/c", YES, "" },
    { "A iot:Publish @topic/a/*", "iot:Publish", "@topic/a/", YES, "" },
    { "A iot:Publish @topic/a/*", "iot:Publish", "@topic/a", NO, "" },
    { "A iot:Publish @topic/a*", "iot:Publish", "@topic/a", YES, "" },
    { "A iot:Publish @topic/*/b", "iot:Publish", "@topic/a/b", YES, "" },
    { "A iot:Publish @topic/*/b", "iot:Publish", "@topic/a/x/b", YES, "" },
    { "A iot:Publish @topic/*/b", "iot:Publish", "@topic/a/b/c", NO, "" },
    { "A iot:Publish @topic/*/b", "iot:Publish", "@topic/b", NO, "" },
    { "A iot:Publish @topic/a?c", "iot:Publish", "@topic/abc", YES, "" },
    { "A iot:Publish @topic/a?c", "iot:Publish", "@topic/a/c", YES, "" },
    { "A iot:Publish @topic/a?c", "iot:Publish", "@topic/ac", NO, "" },
    { "A iot:Publish @topic/a?c", "iot:Publish", "@topic/a\xC3\xBC" "c", YES, "" },
    { "A iot:Publish @topic/a??c", "iot:Publish", "@topic/a\xC3\xBC" "c", NO, "" },
    { "A iot:Publish @topic/*??", "iot:Publish", "@topic/\xC3\xBC", NO, "" },
    { "A iot:Publish @topic/*ab", "iot:Publish", "@topic/aab", YES, "" },
    { "A iot:Publish @topic/*ab*", "iot:Publish", "@topic/xxabxx", YES, "" },
    { "A iot:Publish @topic/*a*b*c", "iot:Publish", "@topic/1a2b3c", YES, "" },
    { "A iot:Publish @topic/*a*b*c", "iot:Publish", "@topic/1a2c3b", NO, "" },
    { "A iot:Publish @topic/**", "iot:Publish", "@topic/", YES, "" },
    { "A iot:Publish @topic/?*", "iot:Publish", "@topic/", NO, "" },
    { "A iot:Subscribe @topicfilter/a/#", "iot:Subscribe", "@topicfilter/a/#", YES, "" },
    { "A iot:Subscribe @topicfilter/a/#", "iot:Subscribe", "@topicfilter/a/b", NO, "" },
    { "A iot:Subscribe @topicfilter/a/+/c", "iot:Subscribe", "@topicfilter/a/b/c", NO, "" },
    { "A iot:Subscribe @topicfilter/a/+/c", "iot:Subscribe", "@topicfilter/a/+/c", YES, "" },
    { "A iot:Subscribe @topicfilter/a/*", "iot:Subscribe", "@topicfilter/a/#", YES, "" },
    { "A iot:* * ; D iot:Subscribe @topicfilter/a/secret/*", "iot:Subscribe", "@topicfilter/a/#", YES, "" },
    { "A iot:* * ; D iot:Receive @topic/a/secret/*", "iot:Receive", "@topic/a/secret/x", DENY, "" },
    { "A iot:Subscribe @topicfilter/$share/g/a", "iot:Subscribe", "@topicfilter/$share/g/a", YES, "" },
    { "A iot:Publish @topic/$aws/things/t/shadow/update", "iot:Publish", "@topic/$aws/things/t/shadow/update", YES, "" },
    /* escapes */
    { "A iot:Publish @topic/${*}", "iot:Publish", "@topic/*", YES, "" },
    { "A iot:Publish @topic/${*}", "iot:Publish", "@topic/a", NO, "" },
    { "A iot:Publish @topic/${?}", "iot:Publish", "@topic/?", YES, "" },
    { "A iot:Publish @topic/${?}", "iot:Publish", "@topic/a", NO, "" },
    { "A iot:Publish @topic/${$}{x}", "iot:Publish", "@topic/${x}", YES, "" },
    { "A iot:Publish @topic/a${*}*", "iot:Publish", "@topic/a*bc", YES, "" },
    { "A iot:Publish @topic/$x", "iot:Publish", "@topic/$x", YES, "" },
    /* deny over allow, default deny */
    { "A iot:* * ; D iot:Publish @topic/x", "iot:Publish", "@topic/x", DENY, "" },
    { "D iot:Publish @topic/x ; A iot:* *", "iot:Publish", "@topic/x", DENY, "" },
    { "A iot:* * ; D iot:Publish @topic/x", "iot:Publish", "@topic/y", YES, "" },
    { "D iot:Publish @topic/x", "iot:Publish", "@topic/y", NO, "" },
    { "D iot:Publish @topic/x", "iot:Publish", "@topic/x", DENY, "" },
    { "A iot:Publish @topic/x ; A iot:Publish @topic/y", "iot:Publish", "@topic/y", YES, "" },
    { "A iot:* * ; D * *", "iot:Publish", "@topic/y", DENY, "" },
    /* variables */
    { "A iot:Connect @client/" CLIENT, "iot:Connect", "@client/dev1", YES, "" },
    { "A iot:Connect @client/" CLIENT, "iot:Connect", "@client/dev2", NO, "" },
    { "A iot:Connect @client/${IOT:clientid}", "iot:Connect", "@client/dev1", YES, "" },
    { "A iot:Publish @topic/" CLIENT "/*", "iot:Publish", "@topic/dev1/x", YES, "" },
    { "A iot:Publish @topic/" CLIENT "/*", "iot:Publish", "@topic/dev2/x", NO, "" },
    { "A iot:Publish @topic/" THING "/" CLIENT, "iot:Publish", "@topic/thing1/dev1", YES, "" },
    { "A iot:Publish @topic/" THING "/" CLIENT, "iot:Publish", "@topic/dev1/thing1", NO, "" },
    { "A iot:Publish @topic/${iot:Connection.Thing.Attributes[room]}", "iot:Publish", "@topic/kitchen", YES, "" },
    { "A iot:Publish @topic/${iot:Connection.Thing.Attributes[Room]}", "iot:Publish", "@topic/kitchen", NO, "" },
    { "A iot:Publish @topic/${iot:connection.thing.attributes[room]}", "iot:Publish", "@topic/kitchen", YES, "" },
    { "A iot:Publish @topic/${iot:Connection.Thing.Attributes[floor]}", "iot:Publish", "@topic/kitchen", NO, "" },
    { "A iot:Publish @topic/${iot:Connection.Thing.Attributes[a,b]}", "iot:Publish", "@topic/comma", YES, "" },
    { "A iot:Publish @topic/${test:star}", "iot:Publish", "@topic/*", YES, "" },
    { "A iot:Publish @topic/${test:star}", "iot:Publish", "@topic/anything", NO, "" },
    { "A iot:Publish @topic/${test:question}", "iot:Publish", "@topic/x", NO, "" },
    { "A iot:Publish @topic/${test:dollar}", "iot:Publish", "@topic/dev1", NO, "" },
    { "A iot:Publish @topic/${test:dollar}", "iot:Publish", "@topic/${iot:ClientId}", YES, "" },
    { "A iot:Publish @topic/${test:ff}", "iot:Publish", "@topic/anything", NO, "" },
    { "A iot:Publish @topic/${test:empty}x", "iot:Publish", "@topic/x", YES, "" },
    { "A iot:Publish @topic/${test:none}", "iot:Publish", "@topic/", NO, "" },
    { "A iot:Publish @topic/${test:none}", "iot:Publish", "@topic/${test:none}", NO, "" },
    { "A iot:Publish @topic/${nobody:knows},@topic/b", "iot:Publish", "@topic/b", YES, "" },
    { "A iot:Publish @topic/${nobody:knows, 'dflt'}", "iot:Publish", "@topic/dflt", YES, "" },
    { "A iot:Publish @topic/${iot:ClientId, 'dflt'}", "iot:Publish", "@topic/dev1", YES, "" },
    { "A iot:Publish @topic/${iot:ClientId, 'dflt'}", "iot:Publish", "@topic/dflt", NO, "" },
    { "A iot:Publish @topic/${nobody:knows, '*'}", "iot:Publish", "@topic/a", NO, "" },
    { "A iot:Publish @topic/" CN "}", "iot:Publish", "@topic/cn1", YES, "" },
    { "A iot:Publish @topic/" CN "}", "iot:Publish", "@topic/cn2", NO, "" },
    { "A iot:Publish @topic/" CN ".0}", "iot:Publish", "@topic/cn1", YES, "" },
    { "A iot:Publish @topic/" CN ".1}", "iot:Publish", "@topic/cn2", YES, "" },
    { "A iot:Publish @topic/" CN ".3}", "iot:Publish", "@topic/cn3", NO, "" },
    { "A iot:Publish @topic/" CN ".99999999999}", "iot:Publish", "@topic/cn1", NO, "" },
    { "A iot:Publish @topic/" CN ".-1}", "iot:Publish", "@topic/cn1", NO, "" },
    { "A iot:Publish @topic/" CN ".List}/x", "iot:Publish", "@topic/cn3/x", YES, "" },
    { "A iot:Publish @topic/" CN ".List}/x", "iot:Publish", "@topic/cn4/x", NO, "" },
    { "A iot:Publish @topic/" CN ".List}/" CN ".List}", "iot:Publish", "@topic/cn3/cn1", YES, "" },
    { "A iot:Publish @topic/" CN ".List}/" CN ".List}", "iot:Publish", "@topic/cn3/cn4", NO, "" },
    { "A iot:Publish @topic/${iot:Certificate.Subject.Title}", "iot:Publish", "@topic/second", NO, "" },
    { "A iot:Publish @topic/${iot:Certificate.Subject.Title.1}", "iot:Publish", "@topic/second", YES, "" },
    { "A iot:Publish @topic/${iot:Certificate.Subject.Title.List}", "iot:Publish", "@topic/second", YES, "" },
    { "A iot:Publish @topic/${test:late}", "iot:Publish", "@topic/now", YES, "test:late=now" },
    { "A iot:Publish @topic/${test:late}", "iot:Publish", "@topic/now", NO, "" },
    { "A iot:Publish @topic/${test:late, 'never'}", "iot:Publish", "@topic/now", YES, "test:late=now" },
    { "A iot:Publish @topic/" CLIENT, "iot:Publish", "@topic/other", NO, "iot:ClientId=other" },
    { "A iot:Publish !@topic/${nobody:knows}", "iot:Publish", "@topic/a", NO, "" },
    { "A iot:* * ; D iot:Publish !@topic/${nobody:knows}", "iot:Publish", "@topic/a", DENY, "" },
    { "A iot:* * ; D iot:Publish @topic/${nobody:knows}", "iot:Publish", "@topic/a", YES, "" },
    /* conditions: strings */
    { "A * * {'StringEquals':{'iot:ClientId':'dev1'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'StringEquals':{'iot:ClientId':'Dev1'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringEquals':{'IOT:CLIENTID':'dev1'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'StringEquals':{'iot:ClientId':['a','dev1']}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'StringEquals':{'iot:ClientId':[]}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringEquals':{'iot:ClientId':'dev*'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringEquals':{'test:star':'${*}'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'StringEquals':{'test:absent':'x'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringEquals':{'test:late':'x'}}", "iot:Publish", "@topic/a", YES, "test:late=x" },
    { "A * * {'StringEquals':{'test:late':'x'}}", "iot:Publish", "@topic/a", NO, "test:late=y" },
    { "A * * {'StringEqualsIgnoreCase':{'iot:ClientId':'DEV1'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'StringNotEquals':{'iot:ClientId':'dev1'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringNotEquals':{'iot:ClientId':'dev2'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'StringNotEquals':{'iot:ClientId':['dev2','dev1']}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringNotEquals':{'test:absent':'x'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'StringNotEqualsIgnoreCase':{'iot:ClientId':'DEV1'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringLike':{'iot:ClientId':'d?v*'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'StringLike':{'iot:ClientId':'x*'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringNotLike':{'iot:ClientId':'d*'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringNotLike':{'iot:ClientId':'x*'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'StringEquals':{'iot:DomainName':'${test:domain}'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'StringEquals':{'iot:ClientId':'${nobody:knows}'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringNotEquals':{'iot:ClientId':'${nobody:knows}'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * ; D * * {'StringNotEquals':{'iot:ClientId':'${nobody:knows}'}}", "iot:Publish", "@topic/a", DENY, "" },
    { "A * * {'StringEquals':{'iot:Certificate.Subject.CommonName':'cn2'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringEquals':{'iot:Certificate.Subject.CommonName.List':'cn2'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'StringEquals':{'iot:Certificate.Subject.CommonName.1':'cn2'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'ForAllValues:StringEquals':{'iot:Certificate.Subject.CommonName.List':['cn1','cn2']}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'ForAllValues:StringLike':{'iot:Certificate.Subject.CommonName.List':['cn*']}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'StringEquals':{'iot:ClientId':'dev1','aws:SourceIp':'1.1.1.1'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringEquals':{'iot:ClientId':'dev1'},'Bool':{'test:true':'false'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringEquals':{'iot:ClientId':'dev1'},'Bool':{'test:true':true}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {}", "iot:Publish", "@topic/a", YES, "" },
    /* conditions: IfExists and Null */
    { "A * * {'StringEqualsIfExists':{'test:absent':'x'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'StringEqualsIfExists':{'iot:ClientId':'x'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'StringEqualsIfExists':{'test:late':'x'}}", "iot:Publish", "@topic/a", NO, "test:late=y" },
    { "A * * {'Null':{'test:absent':'true'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'Null':{'test:absent':'false'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'Null':{'iot:ClientId':'true'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'Null':{'iot:ClientId':false}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'Null':{'test:none':'true'}}", "iot:Publish", "@topic/a", YES, "" },
    /* conditions: iot:ConnectAttributes. Source: AWS IoT developer guide, connect-policy */
    { "A * * {'ForAllValues:StringEquals':{'iot:ConnectAttributes':[]}}", "iot:Connect", "@client/a", YES, "" },
    { "A * * {'ForAllValues:StringEquals':{'iot:ConnectAttributes':[]}}", "iot:Connect", "@client/a", NO, "iot:ConnectAttributes=LastWill" },
    { "A * * {'ForAllValues:StringEquals':{'iot:ConnectAttributes':['LastWill']}}", "iot:Connect", "@client/a", YES, "iot:ConnectAttributes=LastWill" },
    { "A * * {'ForAllValues:StringEquals':{'iot:ConnectAttributes':['LastWill']}}", "iot:Connect", "@client/a", NO, "iot:ConnectAttributes=LastWill|PersistentConnect" },
    { "A * * {'ForAnyValue:StringEquals':{'iot:ConnectAttributes':['PersistentConnect']}}", "iot:Connect", "@client/a", NO, "" },
    { "A * * {'ForAnyValue:StringEquals':{'iot:ConnectAttributes':['PersistentConnect']}}", "iot:Connect", "@client/a", YES, "iot:ConnectAttributes=LastWill|PersistentConnect" },
    { "A * * ; D * * {'ForAnyValue:StringEquals':{'iot:ConnectAttributes':['PersistentConnect']}}", "iot:Connect", "@client/a", DENY, "iot:ConnectAttributes=PersistentConnect" },
    { "A * * ; D * * {'ForAnyValue:StringEquals':{'iot:ConnectAttributes':['PersistentConnect']}}", "iot:Connect", "@client/a", YES, "iot:ConnectAttributes=LastWill" },
    { "A * * {'ForAnyValue:StringNotEquals':{'iot:ConnectAttributes':['a']}}", "iot:Connect", "@client/a", YES, "iot:ConnectAttributes=a|b" },
    { "A * * {'ForAnyValue:StringNotEquals':{'iot:ConnectAttributes':['a','b']}}", "iot:Connect", "@client/a", NO, "iot:ConnectAttributes=a|b" },
    { "A * * {'ForAllValues:StringNotEquals':{'iot:ConnectAttributes':['a']}}", "iot:Connect", "@client/a", NO, "iot:ConnectAttributes=a|b" },
    { "A * * {'ForAllValues:StringNotEquals':{'iot:ConnectAttributes':['c']}}", "iot:Connect", "@client/a", YES, "iot:ConnectAttributes=a|b" },
    { "A * * {'ForAnyValue:StringEqualsIfExists':{'iot:ConnectAttributes':['c']}}", "iot:Connect", "@client/a", YES, "" },
    /* conditions: ARNs */
    { "A * * {'ArnEquals':{'iot:LastWillTopic':'@topic/will/*'}}", "iot:Connect", "@client/a", YES, "iot:LastWillTopic=@topic/will/x" },
    { "A * * {'ArnLike':{'iot:LastWillTopic':'@topic/will/?'}}", "iot:Connect", "@client/a", NO, "iot:LastWillTopic=@topic/will/xy" },
    { "A * * {'ArnLike':{'iot:LastWillTopic':'arn:*:topic/will'}}", "iot:Connect", "@client/a", NO, "iot:LastWillTopic=@topic/will" },
    { "A * * {'ArnLike':{'iot:LastWillTopic':'arn:aws:iot:*:*:topic/will'}}", "iot:Connect", "@client/a", YES, "iot:LastWillTopic=@topic/will" },
    { "A * * {'ArnLike':{'iot:LastWillTopic':'arn:aws:iot:*:topic/will'}}", "iot:Connect", "@client/a", NO, "iot:LastWillTopic=@topic/will" },
    { "A * * {'ArnNotLike':{'iot:LastWillTopic':'@topic/no*'}}", "iot:Connect", "@client/a", NO, "iot:LastWillTopic=@topic/no1" },
    { "A * * {'ArnNotEquals':{'iot:LastWillTopic':'@topic/no'}}", "iot:Connect", "@client/a", YES, "iot:LastWillTopic=@topic/yes" },
    { "A * * {'ArnLike':{'iot:LastWillTopic':'@topic/" CLIENT "/will'}}", "iot:Connect", "@client/a", YES, "iot:LastWillTopic=@topic/dev1/will" },
    { "A * * {'ArnLike':{'iot:LastWillTopic':'*'}}", "iot:Connect", "@client/a", YES, "iot:LastWillTopic=anything" },
    /* conditions: addresses */
    { "A * * {'IpAddress':{'aws:SourceIp':'10.0.0.0/8'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'IpAddress':{'aws:SourceIp':'10.1.2.3'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'IpAddress':{'aws:SourceIp':'10.1.2.4'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'IpAddress':{'aws:SourceIp':'10.1.2.2/31'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'IpAddress':{'aws:SourceIp':'10.1.2.0/31'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'IpAddress':{'aws:SourceIp':['192.168.0.0/16','10.0.0.0/8']}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'IpAddress':{'aws:SourceIp':'0.0.0.0/0'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'IpAddress':{'aws:SourceIp':'::ffff:10.1.2.3'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'NotIpAddress':{'aws:SourceIp':'10.0.0.0/8'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'NotIpAddress':{'aws:SourceIp':'11.0.0.0/8'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'IpAddress':{'test:v6':'2001:db8::/32'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'IpAddress':{'test:v6':'2001:db9::/32'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'IpAddress':{'test:v6':'0.0.0.0/0'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'IpAddress':{'iot:ClientId':'0.0.0.0/0'}}", "iot:Publish", "@topic/a", NO, "" },
    /* conditions: numbers, dates, booleans, bytes */
    { "A * * {'NumericEquals':{'test:n':'5'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'NumericEquals':{'test:n':5.0}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'NumericNotEquals':{'test:n':'5'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'NumericLessThan':{'test:n':'5'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'NumericLessThan':{'test:n':'10'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'NumericLessThanEquals':{'test:n':'5'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'NumericGreaterThan':{'test:n':'-1'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'NumericGreaterThanEquals':{'test:n':'5.1'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'NumericEquals':{'iot:ClientId':'5'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'DateLessThan':{'aws:CurrentTime':'2026-01-01T00:00:00Z'}}", "iot:Publish", "@topic/a", YES, "aws:CurrentTime=2025-12-31T23:59:59Z" },
    { "A * * {'DateLessThan':{'aws:CurrentTime':'2026-01-01T00:00:00Z'}}", "iot:Publish", "@topic/a", NO, "aws:CurrentTime=2026-01-01T00:00:00Z" },
    { "A * * {'DateLessThanEquals':{'aws:CurrentTime':'2026-01-01T00:00:00Z'}}", "iot:Publish", "@topic/a", YES, "aws:CurrentTime=2026-01-01T00:00:00Z" },
    { "A * * {'DateGreaterThan':{'aws:CurrentTime':'2026-01-01T00:00:00+02:00'}}", "iot:Publish", "@topic/a", YES, "aws:CurrentTime=2025-12-31T22:00:01Z" },
    { "A * * {'DateGreaterThanEquals':{'aws:CurrentTime':'2026-01-01'}}", "iot:Publish", "@topic/a", YES, "aws:CurrentTime=1767225600" },
    { "A * * {'DateEquals':{'aws:CurrentTime':'2000-02-29T12:30:15.5Z'}}", "iot:Publish", "@topic/a", YES, "aws:CurrentTime=2000-02-29T12:30:15.500Z" },
    { "A * * {'DateNotEquals':{'aws:CurrentTime':'2000-02-29'}}", "iot:Publish", "@topic/a", NO, "aws:CurrentTime=951782400" },
    { "A * * {'Bool':{'test:true':'true'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'Bool':{'test:true':'TRUE'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'Bool':{'test:absent':'false'}}", "iot:Publish", "@topic/a", NO, "" },
    { "A * * {'BoolIfExists':{'test:absent':'false'}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'BinaryEquals':{'test:bytes':'aGk='}}", "iot:Publish", "@topic/a", YES, "" },
    { "A * * {'BinaryEquals':{'test:bytes':'aGo='}}", "iot:Publish", "@topic/a", NO, "" },
};
/* clang-format on */

#define VALUES(name, ...) static const Str name[] = { __VA_ARGS__ }
VALUES(dev1, STR_INIT("dev1"));
VALUES(thing1, STR_INIT("thing1"));
VALUES(kitchen, STR_INIT("kitchen"));
VALUES(comma, STR_INIT("comma"));
VALUES(cns, STR_INIT("cn1"), STR_INIT("cn2"), STR_INIT("cn3"));
VALUES(titles, { NULL, 0 }, STR_INIT("second"));
VALUES(ip, STR_INIT("10.1.2.3"));
VALUES(v6, STR_INIT("2001:db8::1"));
VALUES(domain, STR_INIT("iot.example"));
VALUES(star, STR_INIT("*"));
VALUES(question, STR_INIT("?"));
VALUES(dollar, STR_INIT("${iot:ClientId}"));
VALUES(ff, STR_INIT("\xFF"));
VALUES(empty, STR_INIT(""));
VALUES(five, STR_INIT("5"));
VALUES(yes, STR_INIT("true"));
VALUES(bytes, STR_INIT("aGk="));
static const PolicyVar vars[] = {
    { STR_INIT("iot:ClientId"), dev1, 1 },
    { STR_INIT("iot:Connection.Thing.ThingName"), thing1, 1 },
    { STR_INIT("iot:Connection.Thing.Attributes[room]"), kitchen, 1 },
    { STR_INIT("iot:Connection.Thing.Attributes[a,b]"), comma, 1 },
    { STR_INIT("iot:Certificate.Subject.CommonName"), cns, 3 },
    { STR_INIT("iot:Certificate.Subject.Title"), titles, 2 },
    { STR_INIT("aws:SourceIp"), ip, 1 },
    { STR_INIT("iot:DomainName"), domain, 1 },
    { STR_INIT("test:domain"), domain, 1 },
    { STR_INIT("test:v6"), v6, 1 },
    { STR_INIT("test:star"), star, 1 },
    { STR_INIT("test:question"), question, 1 },
    { STR_INIT("test:dollar"), dollar, 1 },
    { STR_INIT("test:ff"), ff, 1 },
    { STR_INIT("test:empty"), empty, 1 },
    { STR_INIT("test:none"), NULL, 0 },
    { STR_INIT("test:n"), five, 1 },
    { STR_INIT("test:true"), yes, 1 },
    { STR_INIT("test:bytes"), bytes, 1 },
};

/* Copies with @ and ' spelled out. */
static void write_text(Writer *w, Str s) {
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '@')
            writer_bytes(w, S("arn:aws:iot:us-east-1:123456789012:"));
        else
            writer_u8(w, s.ptr[i] == '\'' ? '"' : s.ptr[i]);
    }
}
static Str spelled(Arena *a, const char *text) {
    Writer w = writer_in(a);
    write_text(&w, str_c(text));
    return writer_str(&w);
}

/* Up to the next blank, but a ${…, 'default'} keeps its own. */
static Str word(Str *rest) {
    size_t i = 0;
    for (bool braces = false; i < rest->len && (braces || rest->ptr[i] != ' '); i++)
        braces = rest->ptr[i] == '{' || (braces && rest->ptr[i] != '}');
    Str w = str_sub(*rest, 0, i);
    *rest = str_from(*rest, i + 1);
    return w;
}

static void write_list(Writer *w, const char *name, Str list) {
    bool not = str_starts(list, S("!"));
    if (not ) list = str_from(list, 1);
    writer_format(w, ",\"%s%s\":[\"", not ? "Not" : "", name);
    bool braces = false;
    for (size_t i = 0; i < list.len; i++) {
        braces = list.ptr[i] == '{' || (braces && list.ptr[i] != '}');
        if (list.ptr[i] == ',' && !braces)
            writer_bytes(w, S("\",\""));
        else if (list.ptr[i] == '\'')
            writer_u8(w, '\'');
        else
            write_text(w, str_sub(list, i, i + 1));
    }
    writer_bytes(w, S("\"]"));
}

static Str document(Arena *a, const char *notation) {
    Writer w = writer_in(a);
    Str rest = str_c(notation);
    writer_bytes(&w, S("{\"Version\":\"2012-10-17\",\"Statement\":["));
    for (bool first = true; rest.len; first = false) {
        size_t end = str_find_str(rest, S(" ; "));
        Str statement = str_sub(rest, 0, end);
        rest = end == SIZE_MAX ? STR_NONE : str_from(rest, end + 3);
        writer_format(&w, "%s{\"Effect\":\"%s\"", first ? "" : ",", word(&statement).ptr[0] == 'A' ? "Allow" : "Deny");
        write_list(&w, "Action", word(&statement));
        write_list(&w, "Resource", word(&statement));
        if (statement.len) {
            writer_bytes(&w, S(",\"Condition\":"));
            write_text(&w, statement);
        }
        writer_u8(&w, '}');
    }
    writer_bytes(&w, S("]}"));
    return writer_str(&w);
}

static size_t parse_extra(Arena *a, const char *text, PolicyVar *out) {
    Str rest = str_c(text);
    size_t n = 0;
    while (rest.len) {
        Str value = str_cut(&rest, ' '), name = str_cut(&value, '=');
        Str *values = arena_array(a, Str, 4);
        size_t k = 0;
        while (value.ptr) values[k++] = spelled(a, str_dup_c(a, str_cut(&value, '|')));
        out[n++] = (PolicyVar){ name, values, k };
    }
    return n;
}

static PolicyDecision run(const Case *c, bool ask_why, Arena *a) {
    PolicyFault fault;
    Policy *p = NULL;
    Err e = policy_compile(S("p"), document(a, c->policy), POLICY_IOT, a, &p, &fault);
    if (e != OK) fail_msg("%s: %.*s", c->policy, PS(fault.reason));
    PolicyBound *bound;
    policy_bind(&p, 1, vars, sizeof vars / sizeof vars[0], a, &bound);
    PolicyVar extra[4];
    size_t n = parse_extra(a, c->extra, extra);
    PolicyWhy why;
    PolicyDecision d =
        policy_decide(bound, str_c(c->action), spelled(a, c->resource), extra, n, a, ask_why ? &why : NULL);
    if (ask_why) assert_int_equal(why.policy != NULL, d != POLICY_IMPLICIT_DENY);
    policy_release(p);
    return d;
}

static void every_line_of_the_table_is_decided_as_it_says(void **state) {
    (void)state;
    static const char *names[] = { "implicit deny", "explicit deny", "allowed" };
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int ask_why = 0; ask_why < 2; ask_why++) {
            Arena a = { 0 };
            PolicyDecision d = run(&cases[i], ask_why, &a);
            arena_free(&a);
            if (d == cases[i].want) continue;
            wrong++;
            print_message("%s | %s %s | %s: is %s, should be %s\n", cases[i].policy, cases[i].action, cases[i].resource,
                          cases[i].extra, names[d], names[cases[i].want]);
        }
    }
    print_message("%zu cases\n", sizeof cases / sizeof cases[0]);
    assert_int_equal(wrong, 0);
}

/* What the connection settles must not depend on when it becomes known. */
static void a_variable_decides_the_same_bound_or_given_with_the_request(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].extra[0]) continue;
        Arena a = { 0 };
        PolicyFault fault;
        Policy *p = NULL;
        assert_int_equal(policy_compile(S("p"), document(&a, cases[i].policy), POLICY_IOT, &a, &p, &fault), OK);
        PolicyBound *bound;
        policy_bind(&p, 1, NULL, 0, &a, &bound);
        PolicyDecision d = policy_decide(bound, str_c(cases[i].action), spelled(&a, cases[i].resource), vars,
                                         sizeof vars / sizeof vars[0], NULL, NULL);
        if (d != cases[i].want) fail_msg("%s", cases[i].policy);
        policy_release(p);
        arena_free(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_of_the_table_is_decided_as_it_says),
        cmocka_unit_test(a_variable_decides_the_same_bound_or_given_with_the_request),
    };
    return cmocka_run_group_tests_name("policy cases", tests, NULL, NULL);
}
