// Terraform's own engine with HashiCorp's AWS provider against a running server: plan, apply, read back (a plan after it is
// empty), change, import, destroy. `./dev terraform` starts the server and sets the variables that `starling env` prints.
//
// Both are the newest that Go's module system has under their names: provider 1.60, Terraform 0.11.
package terraform

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/ioutil"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/aws/aws-sdk-go/service/iot"
	"github.com/hashicorp/terraform/helper/resource"
	"github.com/hashicorp/terraform/helper/schema"
	"github.com/hashicorp/terraform/terraform"
	"github.com/terraform-providers/terraform-provider-aws/aws"
)

// The provider of that time has an endpoint to set for every service but iot: its client is told by hand.
var provider = map[string]terraform.ResourceProvider{"aws": pointed(aws.Provider().(*schema.Provider))}

func pointed(p *schema.Provider) *schema.Provider {
	configure := p.ConfigureFunc
	p.ConfigureFunc = func(d *schema.ResourceData) (interface{}, error) {
		meta, err := configure(d)
		if err == nil {
			field := reflect.ValueOf(meta).Elem().FieldByName("iotconn")
			(*iot.IoT)(unsafe.Pointer(field.Pointer())).ClientInfo.Endpoint = os.Getenv("AWS_ENDPOINT_URL_IOT")
		}
		return meta, err
	}
	return p
}

// A configuration of testdata, behind the provider's block, with NAME replaced.
func config(t *testing.T, file string, values ...interface{}) string {
	text, err := ioutil.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	url := os.Getenv("AWS_ENDPOINT_URL_IOT")
	if url == "" {
		t.Fatal("AWS_ENDPOINT_URL_IOT is not set: `./dev terraform` does it")
	}
	head := fmt.Sprintf(`
provider "aws" {
  region = "us-east-1"
  endpoints {
    sts    = "%[1]s"
    iam    = "%[1]s"
    acm    = "%[1]s"
    lambda = "%[1]s"
  }
}
`, url)
	return head + fmt.Sprintf(string(text), values...)
}

func attr(name, key, value string) resource.TestCheckFunc {
	return resource.TestCheckResourceAttr(name, key, value)
}

func like(name, key, pattern string) resource.TestCheckFunc {
	return resource.TestMatchResourceAttr(name, key, regexp.MustCompile(pattern))
}

// What is imported is as it was made, but for what no read tells.
func imported(config, name string, but ...string) resource.TestStep {
	return resource.TestStep{Config: config, ResourceName: name, ImportState: true, ImportStateVerify: true,
		ImportStateVerifyIgnore: but}
}

// A deprecated type may be deleted after five minutes: the server's clock goes a minute on each second.
func hurry(done chan bool) {
	roots := x509.NewCertPool()
	if pem, err := ioutil.ReadFile(os.Getenv("AWS_CA_BUNDLE")); err == nil {
		roots.AppendCertsFromPEM(pem)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	for minute := 1; ; minute++ {
		select {
		case <-done:
			return
		case <-time.After(time.Second):
			body := strings.NewReader(fmt.Sprintf(`{"ahead_ms": %d}`, minute*60000))
			if answer, err := client.Post(os.Getenv("AWS_ENDPOINT_URL_IOT")+"/_starling/clock", "application/json", body); err == nil {
				answer.Body.Close()
			}
		}
	}
}

func run(t *testing.T, steps ...resource.TestStep) {
	os.Setenv("TF_ACC", "1")
	resource.Test(t, resource.TestCase{Providers: provider, Steps: steps})
}

func TestRegistry(t *testing.T) {
	done := make(chan bool)
	go hurry(done)
	defer close(done)
	run(t,
		resource.TestStep{
			Config: config(t, "registry.tf", "pier", "first"),
			Check: resource.ComposeTestCheckFunc(
				like("aws_iot_thing.lamp", "arn", "^arn:aws:iot:us-east-1:123456789012:thing/tf-lamp$"),
				attr("aws_iot_thing.lamp", "attributes.site", "pier"),
				attr("aws_iot_thing.lamp", "thing_type_name", "tf-lamps"),
				attr("aws_iot_thing.lamp", "version", "1"),
				attr("aws_iot_thing_type.lamps", "properties.0.description", "first"),
				like("aws_iot_certificate.lamp", "arn", ":cert/[0-9a-f]{64}$"),
				like("data.aws_iot_endpoint.all", "endpoint_address", "localhost"),
				attr("data.aws_caller_identity.me", "account_id", "123456789012"),
			),
		},
		imported(config(t, "registry.tf", "pier", "first"), "aws_iot_thing.lamp"),
		imported(config(t, "registry.tf", "pier", "first"), "aws_iot_thing_type.lamps", "properties"), // this provider drops them
		resource.TestStep{
			Config: config(t, "registry.tf", "yard", "first"),
			Check: resource.ComposeTestCheckFunc(
				attr("aws_iot_thing.lamp", "attributes.site", "yard"),
				attr("aws_iot_thing.lamp", "version", "2"),
			),
		},
	)
}

func TestPolicy(t *testing.T) {
	run(t,
		resource.TestStep{Config: config(t, "policy.tf", "iot:Connect"), Check: attr("aws_iot_policy.all", "default_version_id", "1")},
		resource.TestStep{Config: config(t, "policy.tf", "iot:Publish"), Check: attr("aws_iot_policy.all", "default_version_id", "2")},
		resource.TestStep{Config: config(t, "policy.tf", "iot:Receive"), Check: attr("aws_iot_policy.all", "default_version_id", "3")},
	)
}

func TestRules(t *testing.T) {
	run(t,
		resource.TestStep{
			Config: config(t, "rules.tf", 3600, "SELECT * FROM 'tf/a'"),
			Check: resource.ComposeTestCheckFunc(
				attr("aws_iot_role_alias.alias", "credential_duration", "3600"),
				attr("aws_iot_topic_rule.rule", "sql", "SELECT * FROM 'tf/a'"),
				like("aws_iot_topic_rule.rule", "arn", "rule/tf_rule$"),
			),
		},
		imported(config(t, "rules.tf", 3600, "SELECT * FROM 'tf/a'"), "aws_iot_role_alias.alias"),
		resource.TestStep{
			Config: config(t, "rules.tf", 1800, "SELECT n FROM 'tf/b'"),
			Check: resource.ComposeTestCheckFunc(
				attr("aws_iot_role_alias.alias", "credential_duration", "1800"),
				attr("aws_iot_topic_rule.rule", "sql", "SELECT n FROM 'tf/b'"),
			),
		},
	)
}

func TestFunction(t *testing.T) {
	run(t,
		resource.TestStep{
			Config: config(t, "function.tf", os.Getenv("STARLING_ZIP"), 10),
			Check: resource.ComposeTestCheckFunc(
				attr("aws_lambda_function.f", "timeout", "10"),
				attr("aws_lambda_function.f", "version", "1"),
				attr("aws_lambda_alias.live", "function_version", "1"),
				like("aws_lambda_alias.live", "arn", ":function:tf-function:live$"),
			),
		},
		imported(config(t, "function.tf", os.Getenv("STARLING_ZIP"), 10), "aws_lambda_function.f", "filename", "publish"),
		resource.TestStep{
			Config: config(t, "function.tf", os.Getenv("STARLING_ZIP"), 20),
			Check:  resource.ComposeTestCheckFunc(attr("aws_lambda_function.f", "timeout", "20")),
		},
	)
}
