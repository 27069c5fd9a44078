import { type ReactNode, useEffect, useRef, useState } from "react";
import styles from "./table.module.css";

/** Lets what is too wide scroll sideways. It is a stop for the keyboard only while there is something to scroll. */
export function ScrollX({ label, children }: { label: string; children: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  const [wide, setWide] = useState(false);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const measure = () => setWide(element.scrollWidth > element.clientWidth + 1);
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    if (element.firstElementChild) observer.observe(element.firstElementChild);
    measure();
    return () => observer.disconnect();
  }, []);
  return (
    <div ref={box} className={styles["scroll"]} {...(wide && { tabIndex: 0, role: "group", "aria-label": label })}>
      {children}
    </div>
  );
}
