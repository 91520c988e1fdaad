"""Every kind of action that calls an AWS service: parameters that do, and how its requests are told from others'."""
from support.server import ACCOUNT, REGION

TRIES = 4  # of an action by default
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:t"
# kind: (parameters, failedAction, failedResource, what tells its requests from others)
KINDS = {
    "sqs": ({"queueUrl": "http://queues/1/q"}, "SqsAction", "http://queues/1/q", "AmazonSQS.SendMessage"),
    "sns": ({"targetArn": ARN}, "SnsAction", ARN, "Action=Publish"),
    "s3": ({"bucketName": "bucket", "key": "a/${v}"}, "S3Action", "bucket/a/1", "PUT /bucket/a/1"),
    "dynamoDB": ({"tableName": "t1", "hashKeyField": "k", "hashKeyValue": "x"}, "DynamoDBAction", "t1", '"TableName":"t1"'),
    "dynamoDBv2": ({"putItem": {"tableName": "t2"}}, "DynamoDBv2Action", "t2", '"TableName":"t2"'),
    "kinesis": ({"streamName": "s", "partitionKey": "k"}, "KinesisAction", "s", "Kinesis_20131202.PutRecord"),
    "firehose": ({"deliveryStreamName": "d"}, "FirehoseAction", "d", "Firehose_20150804.PutRecord"),
    "openSearch": ({"endpoint": "https://search.es.amazonaws.com", "index": "i", "type": "_doc", "id": "1"},
                   "OpenSearchAction", None, "PUT /i/_doc/1"),
    "elasticsearch": ({"endpoint": "https://search.es.amazonaws.com", "index": "i", "type": "_doc", "id": "2"},
                      "ElasticsearchAction", None, "PUT /i/_doc/2"),
    "cloudwatchMetric": ({"metricName": "m", "metricNamespace": "n", "metricValue": "1", "metricUnit": "Count"},
                         "CloudwatchMetricAction", None, "Action=PutMetricData"),
    "cloudwatchAlarm": ({"alarmName": "a", "stateReason": "r", "stateValue": "OK"}, "CloudwatchAlarmAction", "a",
                        "Action=SetAlarmState"),
    "cloudwatchLogs": ({"logGroupName": "g"}, "CloudwatchLogsAction", "g", "Logs_20140328.PutLogEvents"),
    "stepFunctions": ({"stateMachineName": "m"}, "StepFunctionsAction", "m", "AWSStepFunctions.StartExecution"),
    "timestream": ({"databaseName": "db", "tableName": "t", "dimensions": [{"name": "d", "value": "x"}]},
                   "TimestreamAction", None, "Timestream_20181101.WriteRecords"),
    "location": ({"trackerName": "t", "deviceId": "d", "latitude": "1", "longitude": "2"}, "LocationAction", None,
                 "POST /tracking/v0/trackers/t/positions"),
    "lambda": ({"functionArn": FUNCTION}, "LambdaAction", FUNCTION, "POST /2015-03-31/functions/"),  # called elsewhere
}


def action(kind, role):
    """The action with its role; a function has a policy of its own instead."""
    return {kind: {**KINDS[kind][0], **({} if kind == "lambda" else {"roleArn": role})}}


def shown(request):
    """All by which a request can be told."""
    return " ".join([request["method"], request["path"], request["headers"].get("X-Amz-Target", ""),
                     request["body"].decode(errors="replace")])


def of_kind(requests, kind):
    return [r for r in requests if KINDS[kind][3] in shown(r)]
