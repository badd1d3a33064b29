/** Takes back what later versions of the ledger changed, for tests of ledgers of before. */

const BACK_TO_10 = 'DROP TABLE catches;'

export const BACK_TO_9 = `${BACK_TO_10} DROP TABLE unit_files;`

const BACK_TO_8 = `${BACK_TO_9} DROP TABLE reports;`

const BACK_TO_7 = `${BACK_TO_8} ALTER TABLE jobs DROP COLUMN finding;`

const BACK_TO_6 = `${BACK_TO_7} DROP TABLE peer_rules;`

const BACK_TO_5 = `${BACK_TO_6}
  ALTER TABLE jobs DROP COLUMN check_key;
  ALTER TABLE jobs DROP COLUMN error_sum;
  ALTER TABLE evidence DROP COLUMN checks;
  ALTER TABLE evidence DROP COLUMN caught;
  ALTER TABLE evidence DROP COLUMN credited_ms;
  ALTER TABLE results DROP COLUMN error;
  ALTER TABLE results DROP COLUMN revision;
  ALTER TABLE results DROP COLUMN withdrawn;
`

export const BACK_TO_4 = `${BACK_TO_5} DROP INDEX receipts_once; DROP TABLE certificates;`
