
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public.forecast_data (
    id integer NOT NULL,
    restaurant_id integer NOT NULL,
    inventory_item_id integer NOT NULL,
    business_date date NOT NULL,
    dma_id character varying(50),
    dc_id integer,
    state character varying(2) NOT NULL,
    y_05 numeric(10,2),
    y_50 numeric(10,2) NOT NULL,
    y_95 numeric(10,2),
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP,
    updated_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP
);

CREATE SEQUENCE public.forecast_data_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.forecast_data_id_seq OWNED BY public.forecast_data.id;

CREATE TABLE public.forecast_sync_announced (
    neon_branch text NOT NULL,
    topic text NOT NULL,
    state text NOT NULL,
    run_id text,
    announced_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.forecast_sync_batch (
    query_execution_id text NOT NULL,
    page integer NOT NULL,
    first_row bigint NOT NULL,
    last_row bigint NOT NULL,
    run_id text NOT NULL,
    inserted bigint NOT NULL,
    updated bigint NOT NULL,
    unchanged bigint NOT NULL,
    rejected bigint NOT NULL,
    checksum numeric(38,0) NOT NULL,
    committed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    definition text
);

CREATE TABLE public.forecast_sync_file (
    table_name text NOT NULL,
    lake text NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    etag text NOT NULL,
    modified timestamp with time zone NOT NULL,
    storage_class text,
    size bigint NOT NULL,
    row_count bigint,
    first_date date,
    last_date date,
    reader integer,
    definition text,
    state text NOT NULL,
    reason text,
    withdrawn_from date,
    withdrawn_to date,
    survey_id text,
    run_id text,
    generation integer,
    first_seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    changed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    taken_in_at timestamp with time zone,
    accepted_at timestamp with time zone,
    accepted_by text,
    retried_at timestamp with time zone,
    retried_by text
);

CREATE TABLE public.forecast_sync_rejects (
    content_hash text NOT NULL,
    run_id text NOT NULL,
    last_run_id text NOT NULL,
    resolved_run_id text,
    source_file text NOT NULL,
    reason text NOT NULL,
    row_json json NOT NULL,
    rejected_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.forecast_sync_status (
    id integer NOT NULL,
    sync_type character varying(50) NOT NULL,
    last_sync_timestamp timestamp without time zone NOT NULL,
    last_sync_date date,
    records_synced integer,
    status character varying(20),
    error_message text,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP,
    run_id text,
    execution_arn text,
    source text,
    git_ref text,
    neon_branch text,
    neon_branch_id text,
    trigger text,
    dry_run boolean,
    window_low timestamp with time zone,
    window_high timestamp with time zone,
    window_rows bigint,
    rejected bigint,
    candidates bigint,
    superseded bigint,
    good bigint,
    inserted bigint,
    updated bigint,
    unchanged bigint,
    warnings jsonb,
    finished_at timestamp with time zone,
    rerun_requested boolean,
    redrive_count integer,
    date_from date,
    date_to date,
    definition text,
    window_reason text,
    target jsonb,
    table_name text,
    generation integer
);

CREATE SEQUENCE public.forecast_sync_status_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.forecast_sync_status_id_seq OWNED BY public.forecast_sync_status.id;

CREATE TABLE public.forecast_sync_waiting (
    run_id text NOT NULL,
    execution_arn text NOT NULL,
    neon_branch_id text,
    source text NOT NULL,
    table_name text NOT NULL,
    rerun_requested boolean DEFAULT false NOT NULL,
    queued_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE ONLY public.forecast_data ALTER COLUMN id SET DEFAULT nextval('public.forecast_data_id_seq'::regclass);

ALTER TABLE ONLY public.forecast_sync_status ALTER COLUMN id SET DEFAULT nextval('public.forecast_sync_status_id_seq'::regclass);

INSERT INTO public.forecast_data VALUES (1, 0, 7, '2026-12-01', 'dma-0', 0, 'OH', 0.00, 0.00, 0.00, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (2, 1, 7, '2026-12-02', 'dma-1', 1, 'OH', 0.80, 1.00, 1.30, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (3, 2, 7, '2026-12-03', 'dma-2', 2, 'OH', 1.60, 2.00, 2.60, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (4, 3, 7, '2026-12-04', 'dma-3', 3, 'OH', 2.40, 3.00, 3.90, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (5, 4, 7, '2026-12-05', 'dma-4', 4, 'OH', 3.20, 4.00, 5.20, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (6, 5, 7, '2026-12-06', 'dma-5', 5, 'OH', 4.00, 5.00, 6.50, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (7, 6, 7, '2026-12-07', 'dma-6', 6, 'OH', 4.80, 6.00, 7.80, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (8, 7, 7, '2026-12-08', 'dma-0', 7, 'OH', 5.60, 7.00, 9.10, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (9, 8, 7, '2026-12-09', 'dma-1', 8, 'OH', 6.40, 8.00, 10.40, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (10, 9, 7, '2026-12-10', 'dma-2', 0, 'OH', 7.20, 9.00, 11.70, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (11, 10, 7, '2026-12-01', 'dma-3', 1, 'OH', 8.00, 10.00, 13.00, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (12, 11, 7, '2026-12-02', 'dma-4', 2, 'OH', 8.80, 11.00, 14.30, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (13, 12, 7, '2026-12-03', 'dma-5', 3, 'OH', 9.60, 12.00, 15.60, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (14, 13, 7, '2026-12-04', 'dma-6', 4, 'OH', 10.40, 13.00, 16.90, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (15, 14, 7, '2026-12-05', 'dma-0', 5, 'OH', 11.20, 14.00, 18.20, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (16, 15, 7, '2026-12-06', 'dma-1', 6, 'OH', 12.00, 15.00, 19.50, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (17, 16, 7, '2026-12-07', 'dma-2', 7, 'OH', 12.80, 16.00, 20.80, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (18, 17, 7, '2026-12-08', 'dma-3', 8, 'OH', 13.60, 17.00, 22.10, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (19, 18, 7, '2026-12-09', 'dma-4', 0, 'OH', 14.40, 18.00, 23.40, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (20, 19, 7, '2026-12-10', 'dma-5', 1, 'OH', 15.20, 19.00, 24.70, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:32.540216');
INSERT INTO public.forecast_data VALUES (21, 20, 7, '2026-12-01', 'dma-6', 2, 'OH', 16.00, 7.00, 26.00, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (22, 21, 7, '2026-12-02', 'dma-0', 3, 'OH', 16.80, 7.00, 27.30, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (23, 22, 7, '2026-12-03', 'dma-1', 4, 'OH', 17.60, 7.00, 28.60, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (24, 23, 7, '2026-12-04', 'dma-2', 5, 'OH', 18.40, 7.00, 29.90, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (25, 24, 7, '2026-12-05', 'dma-3', 6, 'OH', 19.20, 7.00, 31.20, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (26, 25, 7, '2026-12-06', 'dma-4', 7, 'OH', 20.00, 7.00, 32.50, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (27, 26, 7, '2026-12-07', 'dma-5', 8, 'OH', 20.80, 7.00, 33.80, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (28, 27, 7, '2026-12-08', 'dma-6', 0, 'OH', 21.60, 7.00, 35.10, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (29, 28, 7, '2026-12-09', 'dma-0', 1, 'OH', 22.40, 7.00, 36.40, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (30, 29, 7, '2026-12-10', 'dma-1', 2, 'OH', 23.20, 7.00, 37.70, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (31, 30, 7, '2026-12-01', 'dma-2', 3, 'OH', 24.00, 7.00, 39.00, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (32, 31, 7, '2026-12-02', 'dma-3', 4, 'OH', 24.80, 7.00, 40.30, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (33, 32, 7, '2026-12-03', 'dma-4', 5, 'OH', 25.60, 7.00, 41.60, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (34, 33, 7, '2026-12-04', 'dma-5', 6, 'OH', 26.40, 7.00, 42.90, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (35, 34, 7, '2026-12-05', 'dma-6', 7, 'OH', 27.20, 7.00, 44.20, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (36, 35, 7, '2026-12-06', 'dma-0', 8, 'OH', 28.00, 7.00, 45.50, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (37, 36, 7, '2026-12-07', 'dma-1', 0, 'OH', 28.80, 7.00, 46.80, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (38, 37, 7, '2026-12-08', 'dma-2', 1, 'OH', 29.60, 7.00, 48.10, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (39, 38, 7, '2026-12-09', 'dma-3', 2, 'OH', 30.40, 7.00, 49.40, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (40, 39, 7, '2026-12-10', 'dma-4', 3, 'OH', 31.20, 7.00, 50.70, '2026-11-28 03:43:32.540216', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (41, 40, 7, '2026-12-01', 'dma-5', 4, 'OH', 32.00, 7.00, 52.00, '2026-11-28 03:43:37.921807', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (42, 41, 7, '2026-12-02', 'dma-6', 5, 'OH', 32.80, 7.00, 53.30, '2026-11-28 03:43:37.921807', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (43, 42, 7, '2026-12-03', 'dma-0', 6, 'OH', 33.60, 7.00, 54.60, '2026-11-28 03:43:37.921807', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (44, 43, 7, '2026-12-04', 'dma-1', 7, 'OH', 34.40, 7.00, 55.90, '2026-11-28 03:43:37.921807', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (45, 44, 7, '2026-12-05', 'dma-2', 8, 'OH', 35.20, 7.00, 57.20, '2026-11-28 03:43:37.921807', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (46, 45, 7, '2026-12-06', 'dma-3', 0, 'OH', 36.00, 7.00, 58.50, '2026-11-28 03:43:37.921807', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (47, 46, 7, '2026-12-07', 'dma-4', 1, 'OH', 36.80, 7.00, 59.80, '2026-11-28 03:43:37.921807', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (48, 47, 7, '2026-12-08', 'dma-5', 2, 'OH', 37.60, 7.00, 61.10, '2026-11-28 03:43:37.921807', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (49, 48, 7, '2026-12-09', 'dma-6', 3, 'OH', 38.40, 7.00, 62.40, '2026-11-28 03:43:37.921807', '2026-11-28 03:43:37.921807');
INSERT INTO public.forecast_data VALUES (50, 49, 7, '2026-12-10', 'dma-0', 4, 'OH', 39.20, 7.00, 63.70, '2026-11-28 03:43:37.921807', '2026-11-28 03:43:37.921807');

INSERT INTO public.forecast_sync_announced VALUES ('dev', 'rejects', 'few', 'test-1c2493384a8e', '2026-11-28 03:43:38.347381+00');

INSERT INTO public.forecast_sync_batch VALUES ('d88805a4-ca56-4e92-ac2f-fa5b1e21f559', 1, 1, 40, 'test-62f61e156f6f', 40, 0, 0, 0, 24235961431509664271, '2026-11-28 03:43:32.551323+00', 'd14f3f3e725c8fd0');
INSERT INTO public.forecast_sync_batch VALUES ('d88805a4-ca56-4e92-ac2f-fa5b1e21f559', 0, 1, 1, 'test-62f61e156f6f', 0, 0, 0, 1, 0, '2026-11-28 03:43:32.727281+00', 'd14f3f3e725c8fd0');
INSERT INTO public.forecast_sync_batch VALUES ('b6f08b80-3c80-4bde-a7ba-5dfaf1a9d0ea', 0, 1, 30, 'test-1c2493384a8e', 10, 20, 0, 0, 21138004177023316085, '2026-11-28 03:43:37.937408+00', 'd14f3f3e725c8fd0');

INSERT INTO public.forecast_sync_file VALUES ('forecast', 's3://forecast-sync-datalake-dev-35315550/forecast/', 'forecast/first.parquet', '"ea6f28650c33479b74c485c57a1ed4c3"', '2026-11-28 03:43:24.399+00', 'STANDARD', 3967, 41, '2026-12-01', '2026-12-10', 1, 'd14f3f3e725c8fd0', 'loaded', NULL, NULL, NULL, 'test-62f61e156f6f.0.0', 'test-62f61e156f6f', 1, '2026-11-28 03:43:27.659679+00', '2026-11-28 03:43:34.78063+00', '2026-11-28 03:43:34.78063+00', NULL, NULL, NULL, NULL);
INSERT INTO public.forecast_sync_file VALUES ('forecast', 's3://forecast-sync-datalake-dev-35315550/forecast/', 'forecast/second.parquet', '"d187d309cdc8419cb0faf1fd4a313719"', '2026-11-28 03:43:36.037+00', 'STANDARD', 3555, 30, '2026-12-01', '2026-12-10', 1, 'd14f3f3e725c8fd0', 'loaded', NULL, NULL, NULL, 'test-1c2493384a8e.0.0', 'test-1c2493384a8e', 1, '2026-11-28 03:43:36.520001+00', '2026-11-28 03:43:38.145122+00', '2026-11-28 03:43:38.145122+00', NULL, NULL, NULL, NULL);

INSERT INTO public.forecast_sync_rejects VALUES ('cf8ea868ddc44fac859e63d638a62835', 'test-62f61e156f6f', 'test-62f61e156f6f', NULL, 's3://forecast-sync-datalake-dev-35315550/forecast/first.parquet', 'state is longer than 2 characters', '{"business_date":"2026-12-01","dc_id":"0","dma_id":"dma-6","inventory_item_id":"7","restaurant_id":"90","state":"too long","updated_at":"2026-11-23 06:00:00.000","y_05":"7.2E1","y_50":"9.0E1","y_95":"1.17E2"}', '2026-11-28 03:43:32.726527+00');

INSERT INTO public.forecast_sync_status VALUES (1, 'full', '2026-11-28 03:43:27.441492', '2026-11-28', 40, 'succeeded', NULL, '2026-11-28 03:43:26.165648', 'test-62f61e156f6f', 'arn:aws:states:us-east-2:000000000000:execution:forecast-sync-dev:test-62f61e156f6f', 's3://forecast-sync-datalake-dev-35315550/forecast/', 'dev', 'dev', 'br-local-13da830b4f2f', 'manual', false, NULL, '2026-11-28 03:43:27.441492+00', 41, 1, 40, 0, 40, 40, 0, 0, '{}', '2026-11-28 03:43:34.779534+00', false, 0, NULL, NULL, 'd14f3f3e725c8fd0', NULL, '{"oid": 16488, "rows": 0, "files": [16488], "altered": {"y_05": "761", "y_50": "761", "y_95": "761", "dc_id": "761", "state": "761", "dma_id": "761", "business_date": "761", "restaurant_id": "761", "inventory_item_id": "761"}, "columns": {"y_05": 8, "y_50": 9, "y_95": 10, "dc_id": 6, "state": 7, "dma_id": 5, "business_date": 4, "restaurant_id": 2, "inventory_item_id": 3}, "inserted": 0}', 'forecast', 1);
INSERT INTO public.forecast_sync_status VALUES (2, 'incremental', '2026-11-28 03:43:36.424424', '2026-11-28', 30, 'succeeded', NULL, '2026-11-28 03:43:36.340018', 'test-1c2493384a8e', 'arn:aws:states:us-east-2:000000000000:execution:forecast-sync-dev:test-1c2493384a8e', 's3://forecast-sync-datalake-dev-35315550/forecast/', 'dev', 'dev', 'br-local-13da830b4f2f', 'manual', false, '2026-11-28 03:43:27.441492+00', '2026-11-28 03:43:36.424424+00', 30, 0, 50, 20, 30, 10, 20, 0, '{"y_05 <= y_50 <= y_95": 30}', '2026-11-28 03:43:38.132004+00', false, 0, NULL, NULL, 'd14f3f3e725c8fd0', NULL, '{"oid": 16488, "rows": 40, "files": [16488], "altered": {"y_05": "761", "y_50": "761", "y_95": "761", "dc_id": "761", "state": "761", "dma_id": "761", "business_date": "761", "restaurant_id": "761", "inventory_item_id": "761"}, "columns": {"y_05": 8, "y_50": 9, "y_95": 10, "dc_id": 6, "state": 7, "dma_id": 5, "business_date": 4, "restaurant_id": 2, "inventory_item_id": 3}, "inserted": 0}', 'forecast', 1);
INSERT INTO public.forecast_sync_status VALUES (3, 'incremental', '2026-11-28 03:43:36.424424', '2026-11-28', 0, 'succeeded', NULL, '2026-11-28 03:43:39.202291', 'test-11ee9e813170', 'arn:aws:states:us-east-2:000000000000:execution:forecast-sync-dev:test-11ee9e813170', 's3://forecast-sync-datalake-dev-35315550/forecast/', 'dev', 'dev', 'br-local-13da830b4f2f', 'manual', false, '2026-11-28 03:43:36.424424+00', '2026-11-28 03:43:39.368508+00', 0, 0, 0, 0, 0, 0, 0, 0, '{}', '2026-11-28 03:43:40.455993+00', false, 0, '2026-01-01', '2026-01-02', 'd14f3f3e725c8fd0', NULL, '{"oid": 16488, "rows": 50, "files": [16488], "altered": {"y_05": "761", "y_50": "761", "y_95": "761", "dc_id": "761", "state": "761", "dma_id": "761", "business_date": "761", "restaurant_id": "761", "inventory_item_id": "761"}, "columns": {"y_05": 8, "y_50": 9, "y_95": 10, "dc_id": 6, "state": 7, "dma_id": 5, "business_date": 4, "restaurant_id": 2, "inventory_item_id": 3}, "inserted": 0}', 'forecast', NULL);

SELECT pg_catalog.setval('public.forecast_data_id_seq', 50, true);

SELECT pg_catalog.setval('public.forecast_sync_status_id_seq', 3, true);

ALTER TABLE ONLY public.forecast_data
    ADD CONSTRAINT forecast_data_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.forecast_data
    ADD CONSTRAINT forecast_data_restaurant_id_inventory_item_id_business_date_key UNIQUE (restaurant_id, inventory_item_id, business_date);

ALTER TABLE ONLY public.forecast_sync_announced
    ADD CONSTRAINT forecast_sync_announced_pkey PRIMARY KEY (neon_branch, topic);

ALTER TABLE ONLY public.forecast_sync_batch
    ADD CONSTRAINT forecast_sync_batch_pkey PRIMARY KEY (query_execution_id, page, first_row);

ALTER TABLE ONLY public.forecast_sync_file
    ADD CONSTRAINT forecast_sync_file_pkey PRIMARY KEY (table_name, lake, key);

ALTER TABLE ONLY public.forecast_sync_rejects
    ADD CONSTRAINT forecast_sync_rejects_pkey PRIMARY KEY (content_hash);

ALTER TABLE ONLY public.forecast_sync_status
    ADD CONSTRAINT forecast_sync_status_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.forecast_sync_waiting
    ADD CONSTRAINT forecast_sync_waiting_pkey PRIMARY KEY (run_id);

CREATE INDEX forecast_sync_batch_run ON public.forecast_sync_batch USING btree (run_id);

CREATE INDEX forecast_sync_file_newest ON public.forecast_sync_file USING btree (table_name, lake, modified) WHERE (state = 'loaded'::text);

CREATE INDEX forecast_sync_file_open ON public.forecast_sync_file USING btree (table_name, lake, key) WHERE ((state <> ALL (ARRAY['loaded'::text, 'gone'::text])) OR (withdrawn_from IS NOT NULL));

CREATE UNIQUE INDEX forecast_sync_status_lease ON public.forecast_sync_status USING btree ((true)) WHERE (((status)::text = 'running'::text) AND (run_id IS NOT NULL));

CREATE UNIQUE INDEX forecast_sync_status_run ON public.forecast_sync_status USING btree (run_id) WHERE (run_id IS NOT NULL);

CREATE INDEX idx_forecast_business_date ON public.forecast_data USING btree (business_date);

CREATE INDEX idx_forecast_composite ON public.forecast_data USING btree (restaurant_id, business_date, state);

CREATE INDEX idx_forecast_dc ON public.forecast_data USING btree (dc_id) WHERE (dc_id IS NOT NULL);

CREATE INDEX idx_forecast_dma ON public.forecast_data USING btree (dma_id) WHERE (dma_id IS NOT NULL);

CREATE INDEX idx_forecast_state ON public.forecast_data USING btree (state);

CREATE INDEX idx_forecast_state_date ON public.forecast_data USING btree (state, business_date);

