resource "aws_iam_role" "function" {
  name               = "tf-function"
  assume_role_policy = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"lambda.amazonaws.com\"},\"Action\":\"sts:AssumeRole\"}]}"
}

resource "aws_lambda_function" "f" {
  function_name = "tf-function"
  filename      = "%[1]s"
  role          = "${aws_iam_role.function.arn}"
  handler       = "app.handler"
  runtime       = "python3.7"
  timeout       = %[2]d
  publish       = true

  environment {
    variables = {
      COLOUR = "blue"
    }
  }
}

resource "aws_lambda_permission" "rules" {
  statement_id  = "rules"
  action        = "lambda:InvokeFunction"
  function_name = "${aws_lambda_function.f.function_name}"
  principal     = "iot.amazonaws.com"
  source_arn    = "arn:aws:iot:us-east-1:123456789012:rule/tf_rule"
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "of Terraform"
  function_name    = "${aws_lambda_function.f.function_name}"
  function_version = "1"
}
