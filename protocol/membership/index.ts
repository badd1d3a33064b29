export * from './certificate.ts'
export * from './records.ts'
export * from './revocation.ts'
export * from './token.ts'
