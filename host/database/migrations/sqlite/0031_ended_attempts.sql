-- `runs.attempts` is the number of the last attempt that ended, whatever ended it. One that was cut off and parked with its run was
-- not counted: its number would be given to another attempt, which could never end. It was no part of a budget that began later.
UPDATE runs SET attempts = ended.last, budget_from = budget_from + ended.last - attempts
FROM (
    SELECT run_id, max(number) AS last FROM attempts
    WHERE ended_at IS NOT NULL AND run_id IN (SELECT id FROM runs WHERE state < 2 OR state = 4)
    GROUP BY run_id
) AS ended
WHERE ended.run_id = runs.id AND ended.last > runs.attempts;
