export interface External {
  readonly issuer: string;
  readonly audience: string;
  /** The credentials of the API for introspection; without them there is no `/partner`. */
  readonly introspection: { readonly clientId: string; readonly clientSecret: string } | undefined;
}

/** Settings from the environment. The example reads it only here; the package never does. */
export interface Settings {
  /** An external issuer; without one, the example starts its own. */
  readonly external: External | undefined;
  /** The clients that may call `/internal/jobs`. */
  readonly machineClients: readonly string[];
  /** Ports to try, in this order; 0 is any free one. */
  readonly apiPorts: readonly number[];
  readonly issuerPorts: readonly number[];
  /** Stop after the steps. */
  readonly once: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

export function readSettings(env: Environment, args: readonly string[]): Settings {
  const unknown = args.find((arg) => arg !== '--once');
  if (unknown !== undefined) throw new Error(`Unknown argument ${unknown}; the only argument is --once.`);
  return {
    external: readExternal(env),
    machineClients: (env.MACHINE_CLIENTS ?? 'worker').split(',').map((id) => id.trim()),
    apiPorts: readPorts(env, 'PORT', 3001),
    issuerPorts: readPorts(env, 'ISSUER_PORT', 3000),
    once: args.includes('--once'),
  };
}

function readExternal(env: Environment): External | undefined {
  const { ISSUER: issuer, AUDIENCE: audience } = env;
  const introspection = readIntrospection(env);
  if (issuer === undefined && audience === undefined) {
    if (introspection === undefined) return undefined;
    throw new Error('INTROSPECTION_CLIENT_ID needs an external issuer: set ISSUER and AUDIENCE too.');
  }
  if (issuer !== undefined && audience !== undefined) return { issuer, audience, introspection };
  throw new Error('ISSUER and AUDIENCE belong together: set both, or none for the embedded issuer.');
}

function readIntrospection(env: Environment): External['introspection'] {
  const { INTROSPECTION_CLIENT_ID: clientId, INTROSPECTION_CLIENT_SECRET: clientSecret } = env;
  if (clientId === undefined && clientSecret === undefined) return undefined;
  if (clientId !== undefined && clientSecret !== undefined) return { clientId, clientSecret };
  throw new Error('INTROSPECTION_CLIENT_ID and INTROSPECTION_CLIENT_SECRET belong together: set both, or none.');
}

// A configured port must be free. If the default port is in use, any free port is used.
function readPorts(env: Environment, name: string, preferred: number): number[] {
  const value = env[name];
  if (value === undefined) return [preferred, 0];
  const port = Number(value);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`${name} must be a port, 0 to 65535.`);
  return [port];
}
