"""What analysts say and do about alerts: verdicts, acts, cases, contests."""
