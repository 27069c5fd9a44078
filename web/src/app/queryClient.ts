import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError } from "@/api/client";
import { expiry, sessionKey } from "./session";

/** The cache of everything that was read. `retries` bounds how often a failed read is tried again. */
export function createQueryClient(retries = 2): QueryClient {
  // A 401 after a session was there means that it has ended; the shell then asks to sign in again in place.
  const onError = (error: unknown) => {
    if (error instanceof ApiError && error.status === 401 && client.getQueryData(sessionKey)) expiry.set(true);
  };
  const client = new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      queries: {
        staleTime: 10_000,
        // What the server has decided does not change by asking again at once.
        retry: (failures, error) =>
          failures < retries && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
      },
    },
  });
  return client;
}
