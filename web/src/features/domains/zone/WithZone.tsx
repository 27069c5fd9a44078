import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Scope } from "@/app/session";
import { t } from "@/lib/strings";
import { EmptyState } from "@/ui/EmptyState";
import type { IconName } from "@/ui/icons";
import { PageState, SkeletonRows } from "@/ui/PageState";
import { Panel } from "@/ui/Panel";
import { type Zone, zoneQuery } from "../zoneQueries";

/** A tab about the domain's zone; without a zone it says so, and leads to where one is made. */
export function WithZone(props: {
  scope: Scope;
  domain: string;
  icon: IconName;
  none: string;
  noneText: string;
  children: (zone: Zone) => ReactNode;
}) {
  const query = useQuery(zoneQuery(props.scope, props.domain));
  return (
    <PageState query={query} skeleton={<SkeletonRows rows={6} />}>
      {(zone) =>
        zone === null ? (
          <Panel flush>
            <EmptyState
              icon={props.icon}
              level={2}
              title={props.none}
              action={
                <Button
                  variant="default"
                  renderRoot={(root) => (
                    <Link
                      {...root}
                      to="/domains/$domain"
                      params={{ domain: props.domain }}
                      search={{ tab: "records" }}
                    />
                  )}
                >
                  {t.dnssec.toRecords}
                </Button>
              }
            >
              {props.noneText}
            </EmptyState>
          </Panel>
        ) : (
          props.children(zone)
        )
      }
    </PageState>
  );
}
