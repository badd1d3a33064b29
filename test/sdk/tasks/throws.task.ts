const table: number[] = JSON.parse('not json')
export default (): number => table.length
