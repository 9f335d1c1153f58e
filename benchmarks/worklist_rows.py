"""A department's archive in PostgreSQL, by bulk statements: studies, films, findings, reads."""

from __future__ import annotations

from django.db import connection

PER_DAY = 1000
READERS = 10
PRIORITIES = "(ARRAY['stat','urgent','urgent','routine','routine','routine','routine','routine'])[1 + i %% 8]"
# One in seven is raised; one in a thousand cannot be read; the newest `unread` are not signed yet.
STUDIES = """
INSERT INTO radiology_study ("site_id", "public_id", "StudyInstanceUID", "PatientID", "IssuerOfPatientID",
  "PatientName", "PatientBirthDate", "PatientSex", "PatientAge", "AccessionNumber", "StudyDescription",
  "StudyDate", "StudyTime", "TimezoneOffsetFromUTC", "synthetic", "status", "raised", "raised_by",
  "withdrawn", "read_state", "priority", "location", "clinical_question", "rank_at", "late_films",
  "received_at", "last_received_at", "complete_at", "changed_at", "results_for")
SELECT %(site)s, gen_random_uuid(), '1.2.826.0.1.' || i,
  'P' || lpad((i::bigint * 7919 %% 400000)::text, 7, '0'), '',
  'Doe^Synthetic', '19600101', 'F', '064Y', 'A' || lpad(i::text, 9, '0'), 'Chest PA',
  to_char(at, 'YYYYMMDD'), to_char(at, 'HH24MISS'), '+0000', true, status, raised,
  CASE WHEN raised THEN ('["' || (ARRAY['Effusion','Nodule','Cardiomegaly'])[1 + i %% 3] || '"]')::jsonb
    ELSE '[]'::jsonb END,
  false, CASE WHEN i > %(unread)s THEN 'final' WHEN i %% 40 = 0 THEN 'draft' ELSE '' END, priority,
  CASE WHEN i %% 3 = 0 THEN 'ER ' || i %% 9 ELSE '' END, 'Pneumonia? Since three days.',
  at - CASE priority WHEN 'stat' THEN interval '336 hours' WHEN 'urgent' THEN interval '72 hours'
    ELSE interval '0' END - CASE WHEN raised THEN interval '24 hours' ELSE interval '0' END,
  false, at, at, at, at, at
FROM (SELECT i, now() - i * interval '1 day' / {per_day} AS at, {priorities} AS priority,
  i %% 7 = 0 AND i %% 1000 <> 500 AS raised,
  CASE WHEN i %% 1000 = 500 THEN 'refused' WHEN i %% 9 = 1 THEN 'not_analysed' WHEN i <= 20 THEN 'received'
    ELSE 'analysed' END AS status
  FROM generate_series(%(first)s, %(last)s) AS i) AS drawn
""".replace("{per_day}", str(PER_DAY)).replace("{priorities}", PRIORITIES)
FILMS = """
INSERT INTO radiology_instance ("study_id", "site_id", "public_id", "SOPInstanceUID", "SOPClassUID",
  "SeriesInstanceUID", "TransferSyntaxUID", "Modality", "BodyPartExamined", "ViewPosition",
  "SeriesDescription", "Rows", "Columns", "NumberOfFrames", "synthetic", "file_sha256", "content_sha256",
  "pixel_sha256", "file_bytes", "has_picture", "origin", "status", "reason_code", "reason", "attempts",
  "held_by", "received_at")
SELECT id, site_id, gen_random_uuid(), "StudyInstanceUID" || '.1', '1.2', "StudyInstanceUID" || '.0', '1.2.1',
  CASE WHEN id %% 5000 = 0 THEN 'MG' WHEN id %% 3 = 0 THEN 'CR' ELSE 'DX' END, 'CHEST', 'PA', '', 2500, 2000,
  1, true, md5(id::text), md5(id::text), '', 10000000, true, 'stow', status, '',
  CASE status WHEN 'not_analysed' THEN 'Not analysed: lateral view.' ELSE '' END, 1, '', received_at
FROM radiology_study WHERE site_id = %(site)s
"""
ANALYSES = """
INSERT INTO radiology_analysis (instance_id, version_id, pixel_sha256, at)
SELECT film.id, %(version)s, '', film.received_at FROM radiology_instance film
JOIN radiology_study study ON study.id = film.study_id WHERE study.raised AND study.site_id = %(site)s
"""
FINDINGS = """
INSERT INTO radiology_finding (analysis_id, label, probability, operating_point, positive)
SELECT analysis.id, study.raised_by->>0, 0.83, 0.41, true FROM radiology_analysis analysis
JOIN radiology_instance film ON film.id = analysis.instance_id
JOIN radiology_study study ON study.id = film.study_id
"""
READS = """
INSERT INTO radiology_read (study_id, reader_id, public_id, state, concurrent, ai_exposure, text, opened_at,
  committed_at, signed_at)
SELECT id, (%(readers)s::bigint[])[1 + id %% {readers}], gen_random_uuid(),
  CASE read_state WHEN '' THEN 'draft' ELSE read_state END, false,
  CASE read_state WHEN 'final' THEN 'rank' ELSE '' END, 'Heart and lungs as drawn.', received_at,
  CASE read_state WHEN 'final' THEN received_at END, CASE read_state WHEN 'final' THEN received_at END
FROM radiology_study WHERE read_state IN ('final', 'draft') AND site_id = %(site)s
""".replace("{readers}", str(READERS))


def fill(site: int, readers: list[int], version: int, *, studies: int, unread: int) -> None:
    """In place of what was there. The newest `unread` are to be read, the rest is signed."""
    given = {"site": site, "unread": unread, "readers": readers, "version": version}
    tables = ("finding", "analysis", "read", "studylock", "instance", "study")
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(f'radiology_{one}' for one in tables)} CASCADE")
        for first in range(1, studies + 1, 100_000):
            cursor.execute(STUDIES, {**given, "first": first, "last": min(studies, first + 99_999)})
        for statement in (FILMS, ANALYSES, FINDINGS, READS):
            cursor.execute(statement, given)
        cursor.execute(f"VACUUM ANALYZE {', '.join(f'radiology_{one}' for one in tables)}")
