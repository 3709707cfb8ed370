-- +goose Up
-- Where the photo of an attempt has to be taken, as the landmark was when the attempt
-- arrived. NULL for those that the release before has written: they are judged by the
-- landmark as it is.
ALTER TABLE "attempts" ADD COLUMN "target" jsonb NULL;
-- What was verified of a landmark that its owner has moved since; NULL if it is as it
-- was verified.
ALTER TABLE "landmarks" ADD COLUMN "verified_target" jsonb NULL;
