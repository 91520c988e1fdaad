data "aws_iot_endpoint" "all" {}

data "aws_caller_identity" "me" {}

resource "aws_iot_thing_type" "lamps" {
  name = "tf-lamps"

  properties {
    description           = "%[2]s"
    searchable_attributes = ["site"]
  }
}

resource "aws_iot_thing" "lamp" {
  name            = "tf-lamp"
  thing_type_name = "${aws_iot_thing_type.lamps.name}"

  attributes = {
    site = "%[1]s"
  }
}

resource "aws_iot_certificate" "lamp" {
  active = true

  csr = <<CSR
-----BEGIN CERTIFICATE REQUEST-----
MIICVzCCAT8CAQAwEjEQMA4GA1UEAwwHdGYtbGFtcDCCASIwDQYJKoZIhvcNAQEB
BQADggEPADCCAQoCggEBAL2ydO1iFiatidqJysCuJ/Qj8HTViSFZ9JYTjlXfeQ7g
V3sRAYDcvzCyOxKp1BCKqej7ngHJZP9O/Yj2sFeN2Qvp+cbqJUapwxmMCyLgGgpJ
m3Dg2kE6akNDtjZMNHKUk7QWtrIsCpnSWAW9Wq0zSfv6TU8bStixiK4XTMSSPebb
MtBYi4i4BIXDARBB1JpgMxQPQqq4DWESoAzNy/QjnpF9AYtQ6ByCPQHnsWynJVdT
UwGLvZxA8tVybg5PSS9ZaFSeSENWvbCgfKTBSu+m+usHmR5GqiBP7r4fNCK7ftkI
3GbJtlba+b1p5StVuy+1PLVzczgxc0kiROHCkj9A9VkCAwEAAaAAMA0GCSqGSIb3
DQEBCwUAA4IBAQBKwunUt9Tn4tIrSYtEcX/OHlmqH7g5R9l5k3mtCo0H1S147vBN
zD79NxGAlzh20TKtMUhzkuKPz/06B1DijL0f2ZfwI3Nx7iWzbh4mMhhJTgh2q+2N
TzvE31WaaH4mQhG3VhaYn3b+PcII1Pej82OEM7vCC191uUydG41eeiO73chjYp9k
6dv075eYb5NK451Y/K5auC+JLUdRYGL8io+O1uF8aUqjGrpmI1PR0TmyBba/nDBA
RkvBPSxZIiLZfBJBe/jZ5v5qcTpPLWp/ATe2RhmUr/fUp/T/ET+Xg97O1wD0vaTL
Q7kamu5cuw8ubVi4W7PBeGR33qw66BlZvltn
-----END CERTIFICATE REQUEST-----
CSR
}

resource "aws_iot_policy" "lamp" {
  name   = "tf-lamp"
  policy = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:*\",\"Resource\":\"*\"}]}"
}

resource "aws_iot_policy_attachment" "lamp" {
  policy = "${aws_iot_policy.lamp.name}"
  target = "${aws_iot_certificate.lamp.arn}"
}

resource "aws_iot_thing_principal_attachment" "lamp" {
  thing     = "${aws_iot_thing.lamp.name}"
  principal = "${aws_iot_certificate.lamp.arn}"
}
