import {
  ActionIcon,
  Badge,
  Button,
  type CSSVariablesResolver,
  createTheme,
  Drawer,
  InputWrapper,
  type MantineColorsTuple,
  Menu,
  Modal,
  Notification,
  NumberInput,
  PasswordInput,
  Popover,
  SegmentedControl,
  Select,
  Switch,
  Tabs,
  Textarea,
  TextInput,
  Tooltip,
} from "@mantine/core";
import { refocus } from "./focus";

/** The accent: a quiet blue-violet. Shade 7 has 6.6:1 on white, shade 3 has 7.4:1 on the dark surface. */
const iris: MantineColorsTuple = [
  "#eef2ff",
  "#dfe6fd",
  "#bccafa",
  "#98adf5",
  "#7790ee",
  "#5d79e4",
  "#4664d8",
  "#3451c2",
  "#2b44a6",
  "#22378a",
];

/** Cool greys from ink to paper; Mantine's "gray" is replaced so that borders, text and surfaces share one hue. */
const gray: MantineColorsTuple = [
  "#f7f8fa",
  "#f0f2f5",
  "#e4e7ec",
  "#d3d8df",
  "#b7bec8",
  "#8f98a5",
  "#6b7480",
  "#4f5763",
  "#353c46",
  "#1b2027",
];

/** 0 is text, 7 the page, 6 surfaces; Mantine paints dark mode from these. */
const dark: MantineColorsTuple = [
  "#e4e8ee",
  "#b9c0ca",
  "#98a1ad",
  "#6d7683",
  "#363d47",
  "#262c34",
  "#171b21",
  "#0f1216",
  "#0b0d11",
  "#07090b",
];

/** White text on shades 6 and 7 has more than 4.5:1, and so has 7 as text on white. */
const red: MantineColorsTuple = [
  "#fdecec",
  "#fbd5d5",
  "#f6abab",
  "#f07f7f",
  "#ff8f8a",
  "#e05252",
  "#cf3c3c",
  "#c02a2a",
  "#a32222",
  "#861a1a",
];

const input = { defaultProps: { size: "sm" as const } };

/** Floating parts live inside <main>, so that they belong to a landmark. */
const overlays = { target: "#overlays" };

export const theme = createTheme({
  primaryColor: "iris",
  primaryShade: { light: 7, dark: 6 },
  autoContrast: true,
  colors: { iris, gray, dark, red },
  black: "#171b21",
  defaultRadius: "md",
  radius: { xs: "3px", sm: "5px", md: "7px", lg: "10px", xl: "14px" },
  fontFamily: "'Inter Variable', system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
  fontFamilyMonospace: "'JetBrains Mono Variable', ui-monospace, 'SF Mono', 'DejaVu Sans Mono', monospace",
  fontSizes: { xs: "12px", sm: "13px", md: "14px", lg: "16px", xl: "20px" },
  lineHeights: { xs: "1.4", sm: "1.45", md: "1.5", lg: "1.5", xl: "1.35" },
  spacing: { xs: "8px", sm: "12px", md: "16px", lg: "24px", xl: "32px" },
  shadows: {
    xs: "0 1px 2px rgb(16 20 28 / 5%)",
    sm: "0 1px 3px rgb(16 20 28 / 8%)",
    md: "0 8px 24px -6px rgb(16 20 28 / 18%), 0 2px 6px rgb(16 20 28 / 6%)",
    lg: "0 18px 48px -12px rgb(16 20 28 / 28%), 0 4px 12px rgb(16 20 28 / 8%)",
    xl: "0 24px 64px -12px rgb(16 20 28 / 34%)",
  },
  headings: {
    fontWeight: "600",
    sizes: {
      h1: { fontSize: "20px", lineHeight: "28px" },
      h2: { fontSize: "14px", lineHeight: "20px" },
      h3: { fontSize: "13px", lineHeight: "18px" },
    },
  },
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    ActionIcon: ActionIcon.extend({ defaultProps: { variant: "subtle", color: "gray" } }),
    Badge: Badge.extend({ defaultProps: { radius: "sm", tt: "none", fw: 500 } }),
    Button: Button.extend({ defaultProps: { size: "xs", fw: 500 } }),
    Drawer: Drawer.extend({ defaultProps: { closeButtonProps: { "aria-label": "Close" } } }),
    InputWrapper: InputWrapper.extend({
      vars: () => ({
        label: { "--input-label-size": "13px" },
        description: { "--input-description-size": "12px" },
        error: { "--input-error-size": "12px" },
        success: {},
      }),
    }),
    Menu: Menu.extend({
      defaultProps: {
        shadow: "md",
        transitionProps: { duration: 90 },
        portalProps: overlays,
        withInitialFocusPlaceholder: false,
      },
    }),
    Modal: Modal.extend({
      defaultProps: {
        closeButtonProps: { "aria-label": "Close" },
        // After Mantine has tried to give the focus back by itself.
        onExitTransitionEnd: () => setTimeout(refocus, 50),
        transitionProps: { duration: 120, transition: "pop" },
        overlayProps: { backgroundOpacity: 0.45 },
        centered: true,
      },
    }),
    Notification: Notification.extend({ defaultProps: { closeButtonProps: { "aria-label": "Dismiss notification" } } }),
    NumberInput: NumberInput.extend(input),
    PasswordInput: PasswordInput.extend({
      defaultProps: { size: "sm", visibilityToggleButtonProps: { "aria-label": "Show or hide the password" } },
    }),
    Popover: Popover.extend({ defaultProps: { shadow: "md" } }),
    SegmentedControl: SegmentedControl.extend({ defaultProps: { size: "xs", radius: "md", withItemsBorders: false } }),
    Select: Select.extend({
      defaultProps: {
        size: "sm",
        allowDeselect: false,
        checkIconPosition: "right",
        comboboxProps: { shadow: "md", portalProps: overlays },
      },
    }),
    Switch: Switch.extend({ defaultProps: { size: "sm", withThumbIndicator: false } }),
    Tabs: Tabs.extend({ defaultProps: { keepMounted: false } }),
    Textarea: Textarea.extend(input),
    TextInput: TextInput.extend(input),
    Tooltip: Tooltip.extend({ defaultProps: { openDelay: 250, transitionProps: { duration: 80 }, fz: "xs" } }),
  },
});

/**
 * Every colour of the product's own. Pairs of text and surface hold 4.5:1 in
 * both schemes (Mantine's stock "dimmed" has 3.3:1 on white); axe checks them
 * on every screen.
 */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: { "--ew-nav": "216px", "--ew-head": "48px" },
  light: {
    "--ew-page": "#f7f8fa",
    "--ew-surface": "#ffffff",
    "--ew-sunken": "#f4f5f8",
    "--ew-hover": "#f4f6f9",
    "--ew-border": "#e4e7ec",
    "--ew-border-strong": "#d0d5dd",
    "--ew-ink": "#171b21",
    "--ew-ink-2": "#4a525d",
    "--ew-ink-3": "#5f6874",
    "--ew-accent": "#3451c2",
    "--ew-accent-soft": "#eef2ff",
    "--ew-ok": "#0d7a4a",
    "--ew-ok-soft": "#e6f5ed",
    "--ew-warn": "#8f5a00",
    "--ew-warn-soft": "#fdf3dc",
    "--ew-bad": "#c02a2a",
    "--ew-bad-soft": "#fdecec",
    "--ew-info": "#2b59c3",
    "--ew-info-soft": "#eaf0fd",
    "--ew-idle": "#5f6874",
    "--ew-idle-soft": "#eff1f4",
    "--ew-chart-1": "#3b5bdb",
    "--ew-chart-2": "#0f9d75",
    "--ew-chart-3": "#d4622a",
    "--ew-chart-grid": "#eceff3",
    "--ew-add": "#e9f7ef",
    "--ew-del": "#fdeeee",
    "--mantine-color-body": "#ffffff",
    "--mantine-color-text": "#171b21",
    "--mantine-color-dimmed": "#5f6874",
    "--mantine-color-placeholder": "#68717d",
    "--mantine-color-error": "#c02a2a",
    "--mantine-color-default-border": "#d3d8df",
    "--mantine-color-default-hover": "#f4f6f9",
    "--mantine-color-anchor": "#3451c2",
  },
  dark: {
    "--ew-page": "#0e1115",
    "--ew-surface": "#15191f",
    "--ew-sunken": "#11151a",
    "--ew-hover": "#1b2027",
    "--ew-border": "#262c34",
    "--ew-border-strong": "#363d47",
    "--ew-ink": "#e4e8ee",
    "--ew-ink-2": "#b4bcc7",
    "--ew-ink-3": "#98a1ad",
    "--ew-accent": "#98adf5",
    "--ew-accent-soft": "#1d2440",
    "--ew-ok": "#5fd3a0",
    "--ew-ok-soft": "#12291f",
    "--ew-warn": "#f0b95a",
    "--ew-warn-soft": "#2d2413",
    "--ew-bad": "#ff8f8a",
    "--ew-bad-soft": "#331a1b",
    "--ew-info": "#8db0ff",
    "--ew-info-soft": "#182238",
    "--ew-idle": "#98a1ad",
    "--ew-idle-soft": "#1e232a",
    "--ew-chart-1": "#8aa2ff",
    "--ew-chart-2": "#4fd1a5",
    "--ew-chart-3": "#ffa26b",
    "--ew-chart-grid": "#20262d",
    "--ew-add": "#12291f",
    "--ew-del": "#331a1b",
    "--mantine-color-body": "#15191f",
    "--mantine-color-text": "#e4e8ee",
    "--mantine-color-dimmed": "#98a1ad",
    "--mantine-color-placeholder": "#8a93a0",
    "--mantine-color-error": "#ff8f8a",
    "--mantine-color-default": "#1a1f26",
    "--mantine-color-default-border": "#363d47",
    "--mantine-color-default-hover": "#20262e",
    "--mantine-color-anchor": "#98adf5",
  },
});
