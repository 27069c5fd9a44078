import { useLive } from "@/api/events";
import { decimal } from "@/lib/format";
import { t } from "@/lib/strings";
import { recentRate } from "@/lib/traffic";

/** Requests a second of one domain, averaged over the last ten seconds. */
export function LiveRate({ domain }: { domain: string }) {
  const rate = recentRate(useLive(), 10, domain);
  return (
    <span className={rate ? "tnum nowrap" : "tnum nowrap dim"} title={t.domains.rateWindow}>
      {rate === null ? "–" : t.domains.rate(decimal(rate))}
    </span>
  );
}
