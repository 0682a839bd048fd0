import { settingMistake } from './setting.js';

/** What documentation writes in place of a value, in any letter case: `your-tenant`, `yourDomain`. */
const YOURS =
  /^your[-_ ]?(?:domain|tenant|org|realm|company|issuer|api|app|audience|client|host|region|pool|project|account|subdomain|identifier|secret|token|auth|idp|scope|okta|team|name|id$)/i;
/** The same in capitals: `YOUR_DOMAIN`, `TENANT_ID`, `CLIENT_SECRET`. */
const CAPITALS =
  /^(?:(?:YOUR|MY)[-_][A-Z0-9_-]+|(?:TENANT|REALM|REGION|DOMAIN|ISSUER|HOST|HOSTNAME|ORG|SUBDOMAIN|SLUG|AUDIENCE)|(?:[A-Z]+_)*(?:TENANT|REALM|REGION|DOMAIN|ISSUER|HOST|ORG|POOL|PROJECT|CLIENT|APPLICATION|APP|API|ACCOUNT|ENVIRONMENT|OBJECT|SERVICE|CONSUMER)[-_](?:ID|NAME|KEY|SECRET|URL|URI|IDENTIFIER|NUMBER|DOMAIN|AUDIENCE))$/;
const OTHERS =
  /^(?:x{3,12}|change[-_ ]?me|placeholder|todo|tbd|fixme|replace[-_ ]?(?:me|this)|0{8}(?:-0{4}){3}-0{12})$/i;
/** `<issuer>`, `{tenant}`, `${TENANT}`, `$TENANT`, `%TENANT%`. */
const MARKED = /<[^<>]+>|\{[\w .-]+\}|\$[A-Z][A-Z0-9_]+|%[A-Z][A-Z0-9_]{2,}%/;

const PLACEHOLDER = 'It looks like a placeholder. Replace it with your own value.';

/** The doubt about a text that documentation or a template contains in place of a value. */
export function placeholderDoubt(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const parts = [value, ...value.split(/[/:.?#=&@,;\s]+/)];
  return parts.some(isPlaceholder) || MARKED.test(value) ? PLACEHOLDER : undefined;
}

// The first use of an expression compiles it, so the long ones are only used for texts that they can match.
function isPlaceholder(text: string): boolean {
  const lowerCase = text.toLowerCase();
  return (
    (lowerCase.startsWith('your') && YOURS.test(text)) ||
    (lowerCase !== text && CAPITALS.test(text)) ||
    OTHERS.test(text)
  );
}

/** The doubt about a text that is probably a list. `fix` says how several values are passed. */
export function listDoubt(value: unknown, fix: string): string | undefined {
  if (typeof value !== 'string') return undefined;
  if (/^\[.*\]$/s.test(value)) return `It looks like the text of an array. ${fix}`;
  if (/\S[\s,;]+\S/.test(value)) return `It looks like several values in one text. ${fix}`;
  return separatorDoubt(value);
}

/** The doubt about a text that ends with the separator of a list. */
export function separatorDoubt(value: unknown): string | undefined {
  return typeof value === 'string' && /^[,;]|[,;]$/.test(value)
    ? 'Remove the separator at its beginning or end.'
    : undefined;
}

/** The doubt about the address of a document or an endpoint. */
export function urlDoubt(value: unknown): string | undefined {
  return placeholderDoubt(value) ?? separatorDoubt(value);
}

/** The doubt about an issuer. A few servers have issuers that are not URLs. */
export function issuerDoubt(value: unknown): string | undefined {
  const isBareHost = typeof value === 'string' && /^[\w-]+(?:\.[\w-]+)+(?::\d+)?(?:\/|$)/.test(value);
  return urlDoubt(value) ?? (isBareHost ? `Issuers are usually URLs. Did you mean https://${value}?` : undefined);
}

/** The doubt about the name of a claim, which is compared exactly. */
export function claimNameDoubt(value: unknown): string | undefined {
  const isPath = typeof value === 'string' && /^(?:\$\.|(?:realm_access|resource_access)\.)/.test(value);
  if (isPath) return 'A name is not a path. A function reads a member: requireClaim("realm_access", (value) => …).';
  return settingMistake(value) ?? listDoubt(value, 'Pass each name as a text of its own.');
}

/** The doubt about a secret. Any text may be one. */
export function secretDoubt(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  if (/^[A-Z][A-Z0-9_]{3,}=[^\s=]/.test(value)) return 'It looks like a line of an .env file. Pass only the value.';
  const isMarked = MARKED.exec(value)?.[0] === value || /^\$\{\w+\}$/.test(value);
  return settingMistake(value) ?? (isMarked || isPlaceholder(value) ? PLACEHOLDER : undefined);
}
