// The common tour of tests/system/test_sdk_tours.py with the AWS SDK for JavaScript v3: `node tour.mjs NAME`.
// Endpoint, region, keys and CA come from the environment, as `starling env` sets it. Prints what it saw as JSON.
import * as iot from "@aws-sdk/client-iot";
import * as data from "@aws-sdk/client-iot-data-plane";

const name = process.argv[2];
const control = new iot.IoTClient({ maxAttempts: 1 });
const plane = new data.IoTDataPlaneClient({ maxAttempts: 1 });
const seen = {};

async function errorOf(promise) {
  try {
    await promise;
  } catch (error) {
    return { name: error.name, status: error.$metadata.httpStatusCode, message: error.message, requestId: error.$metadata.requestId };
  }
  return null;
}

const made = await control.send(new iot.CreateThingCommand({ thingName: name, attributePayload: { attributes: { site: "pier" } } }));
const thing = await control.send(new iot.DescribeThingCommand({ thingName: name }));
seen.thing = { arn: made.thingArn, attributes: thing.attributes, version: thing.version };
await control.send(new iot.UpdateThingCommand({ thingName: name, expectedVersion: 1, attributePayload: { attributes: { floor: "2" }, merge: true } }));
seen.conflict = await errorOf(control.send(new iot.UpdateThingCommand({ thingName: name, expectedVersion: 1 })));

for (let i = 0; i < 3; i++) {
  await control.send(new iot.CreateBillingGroupCommand({ billingGroupName: `${name}-${i}`, tags: [{ Key: "n", Value: `${i}` }] }));
}
seen.groups = [];
const pages = iot.paginateListBillingGroups({ client: control, pageSize: 2 }, { namePrefixFilter: `${name}-` });
for await (const page of pages) seen.groups.push(page.billingGroups.map((g) => g.groupName));
const tags = await control.send(new iot.ListTagsForResourceCommand({ resourceArn: thing.thingArn.replace("thing/", "billinggroup/") + "-1" }));
seen.tags = tags.tags;

const cert = await control.send(new iot.CreateKeysAndCertificateCommand({ setAsActive: true }));
const document = JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "iot:*", Resource: "*" }] });
const policy = await control.send(new iot.CreatePolicyCommand({ policyName: name, policyDocument: document }));
await control.send(new iot.AttachPolicyCommand({ policyName: name, target: cert.certificateArn }));
await control.send(new iot.AttachThingPrincipalCommand({ thingName: name, principal: cert.certificateArn }));
const described = await control.send(new iot.DescribeCertificateCommand({ certificateId: cert.certificateId }));
const principals = await control.send(new iot.ListThingPrincipalsCommand({ thingName: name }));
seen.certificate = {
  pem: cert.certificatePem, key: cert.keyPair.PrivateKey, status: described.certificateDescription.status,
  created: described.certificateDescription.creationDate instanceof Date, attached: principals.principals.includes(cert.certificateArn),
  policyVersion: policy.policyVersionId,
};

const state = { state: { desired: { on: true }, reported: { on: false } } };
await plane.send(new data.UpdateThingShadowCommand({ thingName: name, payload: JSON.stringify(state) }));
const shadow = await plane.send(new data.GetThingShadowCommand({ thingName: name }));
seen.shadow = JSON.parse(Buffer.from(shadow.payload).toString());
await plane.send(new data.PublishCommand({ topic: `${name}/a b/ü`, qos: 1, payload: Buffer.from([0, 255, 7]) }));
seen.missing = await errorOf(control.send(new iot.DescribeThingCommand({ thingName: `${name}-missing` })));
seen.invalid = await errorOf(control.send(new iot.CreateThingCommand({ thingName: "no name" })));

await plane.send(new data.DeleteThingShadowCommand({ thingName: name }));
await control.send(new iot.DetachThingPrincipalCommand({ thingName: name, principal: cert.certificateArn }));
await control.send(new iot.DetachPolicyCommand({ policyName: name, target: cert.certificateArn }));
await control.send(new iot.UpdateCertificateCommand({ certificateId: cert.certificateId, newStatus: "INACTIVE" }));
await control.send(new iot.DeleteCertificateCommand({ certificateId: cert.certificateId }));
await control.send(new iot.DeletePolicyCommand({ policyName: name }));
await control.send(new iot.DeleteThingCommand({ thingName: name }));
for (let i = 0; i < 3; i++) await control.send(new iot.DeleteBillingGroupCommand({ billingGroupName: `${name}-${i}` }));
seen.gone = (await errorOf(control.send(new iot.DescribeThingCommand({ thingName: name })))).name;
console.log(JSON.stringify(seen));
