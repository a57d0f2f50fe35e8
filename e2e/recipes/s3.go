package recipes

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/echo-probes/echohealth/probes"
)

func bucketProbe(client *s3.Client, bucket string) probes.Func {
	once := func(o *s3.Options) { o.RetryMaxAttempts = 1 } // the default is three attempts, with pauses
	return func(ctx context.Context) error {
		request := &s3.ListObjectsV2Input{Bucket: &bucket, MaxKeys: aws.Int32(1)}
		_, err := client.ListObjectsV2(ctx, request, once)
		answer, ok := errors.AsType[smithy.APIError](err)
		if !ok {
			return err // it may be nil
		}
		switch answer.ErrorCode() {
		case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken":
			return probes.Fail(probes.ReasonAuthenticationFailed, err)
		case "AccessDenied":
			return probes.Fail(probes.ReasonPermissionDenied, err)
		case "NoSuchBucket":
			return probes.Fail(probes.ReasonNotFound, err)
		}
		return err
	}
}
