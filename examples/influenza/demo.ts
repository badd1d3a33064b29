/** The whole demonstration on a mesh that is given: the fit, its table and its picture. */

import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { JobSummary, Mesh } from 'talkoot'
import { type FitOutcome, fitInfluenza } from './fit.ts'
import { picture } from './picture.ts'

export type DemoOptions = {
  /** Made if it is not there. */
  outDir: string
  onProgress?: (progress: JobSummary) => void
  signal?: AbortSignal
}

export type DemoOutcome = FitOutcome & { files: { csv: string; jsonl: string; svg: string } }

export async function runInfluenza(mesh: Mesh, { outDir, onProgress, signal }: DemoOptions): Promise<DemoOutcome> {
  await mkdir(outDir, { recursive: true })
  const files = {
    csv: join(outDir, 'influenza.csv'),
    jsonl: join(outDir, 'influenza.jsonl'),
    svg: join(outDir, 'influenza.svg'),
  }
  const outcome = await fitInfluenza(mesh, { csv: files.csv, jsonl: files.jsonl, onProgress, signal })
  await writeFile(`${files.svg}.part`, picture(outcome.surface))
  await rename(`${files.svg}.part`, files.svg)
  return { ...outcome, files }
}
