import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRouter, RouterProvider } from "@tanstack/react-router";
import { type RenderResult, render } from "@testing-library/react";
import type { ReactElement } from "react";
import { createQueryClient } from "@/app/queryClient";
import { routeTree } from "@/app/router";
import { theme } from "@/lib/theme";

/** Renders one component with what every component has around it. */
export function show(element: ReactElement): RenderResult {
  return render(
    <MantineProvider theme={theme} env="test">
      <QueryClientProvider client={createQueryClient(0)}>{element}</QueryClientProvider>
    </MantineProvider>,
  );
}

/** Renders the whole dashboard at an address, with the real routes. */
export function open(path: string) {
  const router = createRouter({ routeTree, history: createMemoryHistory({ initialEntries: [path] }) });
  const queries = createQueryClient(0);
  const result = render(
    <MantineProvider theme={theme} env="test">
      <QueryClientProvider client={queries}>
        <RouterProvider router={router as never} />
      </QueryClientProvider>
    </MantineProvider>,
  );
  return { ...result, router, queries };
}
