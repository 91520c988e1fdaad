resource "aws_iot_policy" "all" {
  name   = "tf-all"
  policy = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"%s\"],\"Resource\":[\"*\"]}]}"
}
