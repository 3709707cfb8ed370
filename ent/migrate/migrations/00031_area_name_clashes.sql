-- +goose Up
-- Areas that have the name of an older one beside them, by what names are unique by from
-- 00032 on, and keep it until they are renamed or moved. A default makes this no rewrite.
ALTER TABLE "areas" ADD COLUMN "name_clashes" boolean NOT NULL DEFAULT false;
