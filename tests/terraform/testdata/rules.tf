resource "aws_iam_role" "role" {
  name               = "tf-role"
  description        = "of Terraform"
  assume_role_policy = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"credentials.iot.amazonaws.com\"},\"Action\":\"sts:AssumeRole\"}]}"
}

resource "aws_iam_role_policy" "inline" {
  name   = "inline"
  role   = "${aws_iam_role.role.id}"
  policy = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:Publish\",\"Resource\":\"*\"}]}"
}

resource "aws_iam_policy" "managed" {
  name   = "tf-managed"
  policy = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"iot:Receive\",\"Resource\":\"*\"}]}"
}

resource "aws_iam_role_policy_attachment" "managed" {
  role       = "${aws_iam_role.role.name}"
  policy_arn = "${aws_iam_policy.managed.arn}"
}

resource "aws_iot_role_alias" "alias" {
  alias               = "tf-alias"
  role_arn            = "${aws_iam_role.role.arn}"
  credential_duration = %[1]d
}

resource "aws_iot_topic_rule" "rule" {
  name        = "tf_rule"
  description = "of Terraform"
  enabled     = true
  sql         = "%[2]s"
  sql_version = "2016-03-23"

  republish {
    role_arn = "${aws_iam_role.role.arn}"
    topic    = "tf/out"
  }

  sqs {
    role_arn   = "${aws_iam_role.role.arn}"
    queue_url  = "https://sqs.us-east-1.amazonaws.com/123456789012/tf"
    use_base64 = false
  }

  dynamodb {
    role_arn        = "${aws_iam_role.role.arn}"
    table_name      = "tf"
    hash_key_field  = "id"
    hash_key_value  = "$${id}"
    hash_key_type   = "STRING"
    range_key_field = "at"
    range_key_value = "$${at}"
    range_key_type  = "NUMBER"
  }
}
