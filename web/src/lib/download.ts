/** Has the browser save bytes or text under a name. */
export function saveFile(name: string, type: string, content: BlobPart): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

/** A domain as a file's name: a wildcard's star is none on every system. */
export function fileName(domain: string, extension: string): string {
  return `${domain.replaceAll("*", "_").replaceAll(":", "-")}.${extension}`;
}

/** Bytes that the API sends in base64. */
export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}
