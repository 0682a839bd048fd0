/**
 * The other end of `Child`: calls one of these methods for each message, and sends its result.
 *
 * @param {Record<string, (parameters: any) => unknown>} methods
 */
export function serveMethods(methods) {
  process.on('message', async ({ id, method, ...parameters }) => {
    try {
      process.send({ id, result: await methods[method](parameters) });
    } catch (error) {
      process.send({ id, error: error.stack });
    }
  });
  process.on('disconnect', () => process.exit());
}
