package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// UnfinishedUploads counts the uploads in parts to S3 that were begun before a time and
// never ended, as by a process that was killed, and removes them when told to. Their
// parts are kept and paid for, and no listing of files shows them. Other stores have
// none, and so has an S3-compatible one that does not know the operation.
func (s *Store) UnfinishedUploads(ctx context.Context, before time.Time, remove bool) (int, error) {
	var client *s3.Client
	if !s.bucket.As(&client) {
		return 0, nil
	}
	count := 0
	in := &s3.ListMultipartUploadsInput{Bucket: aws.String(s.name), Prefix: aws.String(s.prefix)}
	for {
		page, err := client.ListMultipartUploads(ctx, in)
		if isNotImplemented(err) {
			return count, nil
		}
		if err != nil {
			return count, failed(ctx, "list uploads of", s.name, err)
		}
		for _, upload := range page.Uploads {
			if !aws.ToTime(upload.Initiated).Before(before) {
				continue
			}
			if remove {
				_, err := client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: in.Bucket, Key: upload.Key, UploadId: upload.UploadId})
				if err != nil {
					return count, failed(ctx, "end the upload of", aws.ToString(upload.Key), err)
				}
			}
			count++
		}
		if !aws.ToBool(page.IsTruncated) {
			return count, nil
		}
		in.KeyMarker, in.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
		if in.KeyMarker == nil {
			return count, fmt.Errorf("list uploads of %q in the storage: the listing does not say where it goes on", s.name)
		}
	}
}

func isNotImplemented(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "NotImplemented"
}
