/** What a peer may do in a mesh. */

import { z } from 'zod'

/** Certified by an admin. `member` submits and works, `worker` only works, `admin` may also admit others. */
export const certifiedRoleSchema = z.enum(['admin', 'member', 'worker'])
export type CertifiedRole = z.infer<typeof certifiedRoleSchema>

/** `stranger`: in an open mesh, without a certificate. */
export const roleSchema = z.enum([...certifiedRoleSchema.options, 'stranger'])
export type Role = z.infer<typeof roleSchema>
