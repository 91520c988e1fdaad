// The common tour of tests/system/test_sdk_tours.py with the AWS SDK for Go v2: `tour NAME`.
// Endpoints, region, keys come from the environment, as `starling env` sets it, the CA from SSL_CERT_FILE, which is Go's
// own variable. Prints what it saw as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/iot"
	"github.com/aws/aws-sdk-go-v2/service/iot/types"
	"github.com/aws/aws-sdk-go-v2/service/iotdataplane"
	"github.com/aws/smithy-go"
)

type failure struct {
	Name      string `json:"name"`
	Status    int    `json:"status"`
	Message   string `json:"message"`
	RequestID string `json:"requestId"`
}

// The name, status and request id with which a call failed.
func failed(err error) *failure {
	var api smithy.APIError
	var response *awshttp.ResponseError
	if err == nil || !errors.As(err, &api) || !errors.As(err, &response) {
		return nil
	}
	return &failure{api.ErrorCode(), response.HTTPStatusCode(), api.ErrorMessage(), response.RequestID}
}

func must[T any](out T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return out
}

func main() {
	name, ctx, seen := os.Args[1], context.Background(), map[string]any{}
	config := aws.Config{
		Region:           os.Getenv("AWS_REGION"),
		RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")}, nil
		}),
	}
	control := iot.NewFromConfig(config, func(o *iot.Options) { o.BaseEndpoint = aws.String(os.Getenv("AWS_ENDPOINT_URL_IOT")) })
	plane := iotdataplane.NewFromConfig(config, func(o *iotdataplane.Options) {
		o.BaseEndpoint = aws.String(os.Getenv("AWS_ENDPOINT_URL_IOT_DATA_PLANE"))
	})

	attributes := &types.AttributePayload{Attributes: map[string]string{"site": "pier"}}
	made := must(control.CreateThing(ctx, &iot.CreateThingInput{ThingName: &name, AttributePayload: attributes}))
	thing := must(control.DescribeThing(ctx, &iot.DescribeThingInput{ThingName: &name}))
	seen["thing"] = map[string]any{"arn": made.ThingArn, "attributes": thing.Attributes, "version": thing.Version}
	merged := &types.AttributePayload{Attributes: map[string]string{"floor": "2"}, Merge: true}
	must(control.UpdateThing(ctx, &iot.UpdateThingInput{ThingName: &name, ExpectedVersion: aws.Int64(1), AttributePayload: merged}))
	_, err := control.UpdateThing(ctx, &iot.UpdateThingInput{ThingName: &name, ExpectedVersion: aws.Int64(1)})
	seen["conflict"] = failed(err)

	for i := 0; i < 3; i++ {
		group, tag := fmt.Sprintf("%s-%d", name, i), types.Tag{Key: aws.String("n"), Value: aws.String(fmt.Sprint(i))}
		must(control.CreateBillingGroup(ctx, &iot.CreateBillingGroupInput{BillingGroupName: &group, Tags: []types.Tag{tag}}))
	}
	groups := [][]string{}
	pages := iot.NewListBillingGroupsPaginator(control, &iot.ListBillingGroupsInput{
		NamePrefixFilter: aws.String(name + "-"), MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page, names := must(pages.NextPage(ctx)), []string{}
		for _, group := range page.BillingGroups {
			names = append(names, *group.GroupName)
		}
		groups = append(groups, names)
	}
	seen["groups"] = groups
	groupArn := strings.Replace(*thing.ThingArn, "thing/", "billinggroup/", 1) + "-1"
	seen["tags"] = must(control.ListTagsForResource(ctx, &iot.ListTagsForResourceInput{ResourceArn: &groupArn})).Tags

	cert := must(control.CreateKeysAndCertificate(ctx, &iot.CreateKeysAndCertificateInput{SetAsActive: true}))
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}`
	policy := must(control.CreatePolicy(ctx, &iot.CreatePolicyInput{PolicyName: &name, PolicyDocument: &document}))
	must(control.AttachPolicy(ctx, &iot.AttachPolicyInput{PolicyName: &name, Target: cert.CertificateArn}))
	must(control.AttachThingPrincipal(ctx, &iot.AttachThingPrincipalInput{ThingName: &name, Principal: cert.CertificateArn}))
	described := must(control.DescribeCertificate(ctx, &iot.DescribeCertificateInput{CertificateId: cert.CertificateId}))
	principals := must(control.ListThingPrincipals(ctx, &iot.ListThingPrincipalsInput{ThingName: &name}))
	seen["certificate"] = map[string]any{
		"pem": cert.CertificatePem, "key": cert.KeyPair.PrivateKey, "status": described.CertificateDescription.Status,
		"created": described.CertificateDescription.CreationDate.Year() > 2000, "policyVersion": policy.PolicyVersionId,
		"attached": len(principals.Principals) == 1 && principals.Principals[0] == *cert.CertificateArn,
	}

	state := []byte(`{"state":{"desired":{"on":true},"reported":{"on":false}}}`)
	must(plane.UpdateThingShadow(ctx, &iotdataplane.UpdateThingShadowInput{ThingName: &name, Payload: state}))
	shadow := must(plane.GetThingShadow(ctx, &iotdataplane.GetThingShadowInput{ThingName: &name}))
	seen["shadow"] = json.RawMessage(shadow.Payload)
	topic := name + "/a b/ü"
	must(plane.Publish(ctx, &iotdataplane.PublishInput{Topic: &topic, Qos: 1, Payload: []byte{0, 255, 7}}))
	_, err = control.DescribeThing(ctx, &iot.DescribeThingInput{ThingName: aws.String(name + "-missing")})
	seen["missing"] = failed(err)
	_, err = control.CreateThing(ctx, &iot.CreateThingInput{ThingName: aws.String("no name")})
	seen["invalid"] = failed(err)

	must(plane.DeleteThingShadow(ctx, &iotdataplane.DeleteThingShadowInput{ThingName: &name}))
	must(control.DetachThingPrincipal(ctx, &iot.DetachThingPrincipalInput{ThingName: &name, Principal: cert.CertificateArn}))
	must(control.DetachPolicy(ctx, &iot.DetachPolicyInput{PolicyName: &name, Target: cert.CertificateArn}))
	must(control.UpdateCertificate(ctx, &iot.UpdateCertificateInput{CertificateId: cert.CertificateId, NewStatus: types.CertificateStatusInactive}))
	must(control.DeleteCertificate(ctx, &iot.DeleteCertificateInput{CertificateId: cert.CertificateId}))
	must(control.DeletePolicy(ctx, &iot.DeletePolicyInput{PolicyName: &name}))
	must(control.DeleteThing(ctx, &iot.DeleteThingInput{ThingName: &name}))
	for i := 0; i < 3; i++ {
		group := fmt.Sprintf("%s-%d", name, i)
		must(control.DeleteBillingGroup(ctx, &iot.DeleteBillingGroupInput{BillingGroupName: &group}))
	}
	_, err = control.DescribeThing(ctx, &iot.DescribeThingInput{ThingName: &name})
	seen["gone"] = failed(err).Name
	must(0, json.NewEncoder(os.Stdout).Encode(seen))
}
